"""Loads facenet-pytorch's Inception-ResNet-v1 by path; runs under an interpreter of its own that has torch.

The package's `__init__` wants torchvision, and the network's file wants `requests` and a download helper for weights
that nothing here downloads: empty modules stand in for those.
"""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

PACKAGE = "facenet_pytorch_by_path"


def load() -> Any:
    """The module `inception_resnet_v1` of the installed facenet-pytorch. Raises ImportError where it is not."""
    found = importlib.util.find_spec("facenet_pytorch")
    if found is None or not found.submodule_search_locations:
        raise ImportError(
            "facenet-pytorch is not installed for this interpreter: pip install --no-deps facenet-pytorch"
        )
    path = Path(found.submodule_search_locations[0]) / "models" / "inception_resnet_v1.py"
    standing_in = {
        "requests": {},
        "requests.adapters": {"HTTPAdapter": None},
        PACKAGE: {},
        f"{PACKAGE}.models": {},
        f"{PACKAGE}.models.utils": {},
        f"{PACKAGE}.models.utils.download": {"download_url_to_file": None},
    }
    for name, members in standing_in.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        sys.modules.setdefault(name, module)
    spec = importlib.util.spec_from_file_location(f"{PACKAGE}.models.inception_resnet_v1", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
