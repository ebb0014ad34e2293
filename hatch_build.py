"""Build hook: compile the native library into the wheel, or beside the sources when editable.

Where that fails the wheel is made without it, and the reference engine serves;
CHAINRULE_NATIVE=required makes a failure of it.
"""

from __future__ import annotations

import importlib.util
import os
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeLibrary(BuildHookInterface):
    """Adds the library to a wheel and names the platform that the wheel is then for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together."""
        if self.target_name != "wheel":
            return
        native = Path(self.root, "src", "chainrule", "native")
        spec = importlib.util.spec_from_file_location("native_compile", native / "compile.py")
        compiling = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(compiling)
        self.room = tempfile.TemporaryDirectory()
        folder = native if version == "editable" else Path(self.room.name)
        try:
            library = compiling.compile_library(folder)
        except OSError as error:
            if os.environ.get("CHAINRULE_NATIVE") == "required":
                raise
            self.app.display_warning(f"no native library, the reference engine serves: {error}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"
        if version != "editable":
            build_data["force_include"][str(library)] = f"chainrule/native/{library.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clear away what was compiled aside."""
        if hasattr(self, "room"):
            self.room.cleanup()


def platform_tag() -> str:
    """Return the name of this platform as wheels have it."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
