"use strict";
(() => {
  const get = (id) => document.getElementById(id);
  const list = get("clips"), search = get("search"), label = get("label"), certainty = get("certainty");
  const sort = get("sort"), shown = get("shown"), player = get("player"), playing = get("playing");
  const audio = player.querySelector("audio");
  const clips = [...list.children].map((row, place) => {
    const p = row.dataset.p.split(" ").map(Number);
    const name = row.querySelector(".file").textContent;
    return { row, place, name, folded: name.toLowerCase(), label: row.dataset.c, unsure: "u" in row.dataset, p,
      top: p[Number(row.dataset.c)] };
  });
  const orders = {
    given: (a, b) => a.place - b.place,
    least: (a, b) => a.top - b.top,
    most: (a, b) => b.top - a.top,
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
    label: (a, b) => a.label - b.label || b.top - a.top,
  };

  function filter() {
    const words = search.value.toLowerCase().trim();
    let count = 0;
    for (const clip of clips) {
      const fits = clip.folded.includes(words) && (!label.value || clip.label === label.value) &&
        (!certainty.value || clip.unsure === (certainty.value === "unsure"));
      clip.row.hidden = !fits;
      count += fits;
    }
    shown.textContent = count === clips.length ? `${count.toLocaleString("en")} clips`
      : `${count.toLocaleString("en")} of ${clips.length.toLocaleString("en")} clips`;
  }

  function order() {
    const column = Number(sort.value);
    const compare = orders[sort.value] || ((a, b) => b.p[column] - a.p[column]);
    const sorted = [...clips].sort((a, b) => compare(a, b) || a.place - b.place);
    list.append(...sorted.map((clip) => clip.row));
  }

  function stop() {
    audio.pause();
    const row = list.querySelector(".playing");
    if (row) {
      row.classList.remove("playing");
      row.querySelector(".play").ariaPressed = "false";
    }
  }

  function play(button) {
    const row = button.closest(".clip"), again = row.classList.contains("playing");
    stop();
    if (again) return;
    player.hidden = false;
    playing.textContent = button.getAttribute("aria-label").replace(/^Play /, "");
    row.classList.add("playing");
    button.ariaPressed = "true";
    audio.src = button.dataset.src;
    // Refused or interrupted; "error" tells of a sound that cannot be played.
    audio.play().catch(() => {});
  }

  function fail() {
    if (!audio.getAttribute("src")) return;
    stop();
    playing.textContent += ": cannot be played here; the sound has moved, or the browser lacks its format";
  }

  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !event.target.matches(".play")) return;
    const buttons = [...list.querySelectorAll(".clip:not([hidden]) .play")];
    const place = buttons.indexOf(event.target) + step;
    event.preventDefault();
    buttons[Math.min(Math.max(place, 0), buttons.length - 1)].focus();
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest(".play");
    if (button) play(button);
  });
  list.addEventListener("keydown", move);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });
  audio.addEventListener("error", fail);
  audio.addEventListener("pause", () => { if (audio.paused) stop(); });
  for (const control of [search, label, certainty]) control.addEventListener("input", filter);
  sort.addEventListener("input", order);
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
  // A browser may restore what was chosen before a reload.
  filter();
  order();
})();
