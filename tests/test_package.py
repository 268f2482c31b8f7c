"""What is published: package.xml, setup.py and the built wheel agree with the code and with one another."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

import mbrl_controller

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "mbrl_controller").rglob("*.py"))
DATA = ("launch", "config", "models", "sim")
ROS_PACKAGES = re.compile(r"^(rclpy|launch|launch_ros|\w+_msgs|\w+_interfaces|std_srvs|ament_index_python|tf2_ros)$")

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="runs in a checkout")


def imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.fixture(scope="module")
def manifest() -> ET.Element:
    return ET.parse(ROOT / "package.xml").getroot()


def test_every_imported_ros_package_is_a_dependency_and_no_other(manifest: ET.Element) -> None:
    files = [*SOURCES, *(ROOT / "launch").glob("*.py")]
    used = {name.partition(".")[0] for path in files for name in imports(path)}
    used = {name for name in used if ROS_PACKAGES.match(name)}
    declared = {e.text for e in manifest.iter("exec_depend") if e.text and not e.text.startswith("python3-")}
    assert declared == used


def test_manifest_is_one_that_colcon_takes(manifest: ET.Element) -> None:
    assert manifest.get("format") == "3"
    assert manifest.findtext("export/build_type") == "ament_python"
    assert manifest.findtext("license") == "Apache-2.0"
    maintainer = manifest.find("maintainer")
    assert maintainer is not None
    # colcon silently takes the package for plain Python where this address is malformed
    assert re.fullmatch(r"[-\w.+]+@[-\w]+(\.[-\w]+)+", maintainer.get("email", ""))
    assert (ROOT / "resource" / str(manifest.findtext("name"))).is_file()


def test_versions_agree(manifest: ET.Element) -> None:
    setup_version = re.search(r'version="([^"]+)"', (ROOT / "setup.py").read_text())
    assert setup_version is not None
    assert manifest.findtext("version") == setup_version.group(1) == mbrl_controller.__version__


@pytest.mark.parametrize(
    ("modules", "rooms"),
    [
        (("rclpy",), ("nodes", "jobs")),
        (("torch",), ("dynamics",)),
        (("mujoco",), ("simulation", "dynamics", "jobs", "nodes")),
    ],
)
def test_heavy_imports_stay_in_their_rooms(modules: tuple[str, ...], rooms: tuple[str, ...]) -> None:
    strays = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if path.relative_to(ROOT / "mbrl_controller").parts[0] not in rooms
        for name in imports(path)
        if name.partition(".")[0] in modules
    ]
    assert not strays


def test_lower_rooms_do_not_import_upper_ones() -> None:
    upper = ("mbrl_controller.nodes", "mbrl_controller.jobs")
    strays = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if path.relative_to(ROOT / "mbrl_controller").parts[0] not in ("nodes", "jobs", "__main__.py")
        for name in imports(path)
        if name.startswith(upper)
    ]
    assert not strays


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    skip = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "install", "log", "dist")
    shutil.copytree(ROOT, folder / "source", ignore=skip)
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "-w", str(folder), str(folder / "source")]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_carries_every_data_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition(".data/data/")[2] for name in archive.namelist()}
    share = "share/mbrl_controller"
    expected = {f"{share}/package.xml", "share/ament_index/resource_index/packages/mbrl_controller"}
    for folder in DATA:
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        expected |= {f"{share}/{path.relative_to(ROOT).as_posix()}" for path in files}
    assert expected <= names


@pytest.mark.slow
def test_installed_wheel_has_a_command_that_finds_its_data(wheel: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-qq",
        "--no-deps",
        "--no-warn-script-location",
        "--ignore-installed",
    ]
    subprocess.run([*pip, "--prefix", str(prefix), str(wheel)], check=True, timeout=300)
    packages = next(prefix.glob("lib/python*/site-packages"))
    environment = {**os.environ, "PYTHONPATH": str(packages), "AMENT_PREFIX_PATH": str(prefix)}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    assert run(str(prefix / "bin" / "mbrl"), "--version") == f"mbrl {mbrl_controller.__version__}"
    code = "from mbrl_controller.resources import share_dir; print(share_dir())"
    assert run(sys.executable, "-c", code) == str(prefix / "share" / "mbrl_controller")


UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
NETWORK = {"socket", "socketserver", "http", "urllib", "requests", "ftplib", "xmlrpc", "asyncio", "aiohttp", "zmq"}
LOCAL_ONLY = {
    *("viewer.py", "demo.py", "processes.py"),  # the viewer's port on 127.0.0.1
    "first_start.py",  # waits in launch's own event loop
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_and_nothing_but_ros_listens(path: Path) -> None:
    """A model, a log or a message can run no code, and the only wire is DDS."""
    used = {name.partition(".")[0] for name in imports(path)}
    assert not used & UNSAFE
    assert not used & NETWORK or path.name in LOCAL_ONLY
    text = path.read_text()
    assert "torch.load" not in text
    assert "allow_pickle=True" not in text
    assert text.count("np.load(") == text.count("allow_pickle=False")
