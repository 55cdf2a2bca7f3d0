"""Words for emotions in seven languages, for users who ask to have them mapped (`--aliases`).

Excitement, frustration and the like are emotions of their own, and so are not here. A word is in lower case and in
composed form (NFC); German words are also there without umlauts, French and Spanish words without accents.
"""

from collections.abc import Mapping

ALIASES_BY_LANGUAGE: Mapping[str, Mapping[str, str]] = {
    "English": {
        "anger": "angry ang mad",
        "happiness": "happy joy joyful hap",
        "sadness": "sad",
        "fear": "fearful afraid scared fea",
        "disgust": "disgusted dis",
        "surprise": "surprised sur",
        "neutral": "neutrality normal neu",
        "calm": "calmness",
        "boredom": "bored",
    },
    "German": {
        "anger": "wut wütend wuetend ärger aerger ärgerlich aergerlich zorn zornig",
        "happiness": "freude freudig fröhlich froehlich fröhlichkeit froehlichkeit glücklich gluecklich glück glueck",
        "sadness": "trauer traurig traurigkeit",
        "fear": "angst ängstlich aengstlich furcht",
        "disgust": "ekel angeekelt",
        "surprise": "überraschung ueberraschung überrascht ueberrascht",
        "neutral": "neutralität neutralitaet",
        "calm": "ruhe ruhig gelassen gelassenheit",
        "boredom": "langeweile gelangweilt",
    },
    "Italian": {
        "anger": "rabbia arrabbiato arrabbiata ira",
        "happiness": "felicità felicita felice gioia",
        "sadness": "tristezza triste",
        "fear": "paura impaurito impaurita",
        "disgust": "disgusto disgustato disgustata",
        "surprise": "sorpresa sorpreso",
        "neutral": "neutro neutra neutralità",
        "calm": "calma calmo",
        "boredom": "noia annoiato annoiata",
    },
    "French": {
        "anger": "colère colere",
        "happiness": "joie joyeux joyeuse heureux heureuse bonheur",
        "sadness": "tristesse",
        "fear": "peur",
        "disgust": "dégoût degout dégoûté dégoûtée",
        "surprise": "surpris",
        "neutral": "neutre",
        "calm": "calme",
        "boredom": "ennui",
    },
    "Spanish": {
        "anger": "enojo enfado enojado enojada enfadado enfadada rabia",
        "happiness": "felicidad feliz alegría alegria alegre",
        "sadness": "tristeza",
        "fear": "miedo temor",
        "disgust": "asco",
        "surprise": "sorprendido sorprendida",
        "neutral": "neutralidad",
        "calm": "tranquilo tranquila tranquilidad",
        "boredom": "aburrimiento aburrido aburrida",
    },
    "Chinese": {
        "anger": "愤怒 憤怒 生气 生氣",
        "happiness": "高兴 高興 快乐 快樂 开心 開心",
        "sadness": "悲伤 悲傷 伤心 傷心 难过 難過",
        "fear": "害怕 恐惧 恐懼",
        "disgust": "厌恶 厭惡",
        "surprise": "惊讶 驚訝 吃惊 吃驚 惊喜 驚喜",
        "neutral": "中性",
        "calm": "平静 平靜 冷静 冷靜",
        "boredom": "无聊 無聊",
    },
    "Japanese": {
        "anger": "怒り いかり",
        "happiness": "喜び よろこび 幸せ 嬉しい",
        "sadness": "悲しみ かなしみ 悲しい",
        "fear": "恐れ 恐怖 怖い",
        "disgust": "嫌悪",
        "surprise": "驚き おどろき",
        "neutral": "中立 ニュートラル",
        "calm": "平静 穏やか 落ち着き",
        "boredom": "退屈",
    },
}
"""Words by language and emotion noun, blanks between them."""

COMMON_ALIASES: Mapping[str, str] = {
    word: noun for nouns in ALIASES_BY_LANGUAGE.values() for noun, words in nouns.items() for word in words.split()
}
"""Other words for the same emotions, used on request only: no label is renamed silently."""
