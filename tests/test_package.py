# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""What is published: package.xml, setup.py and the built wheel agree with the code and with one another."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import mbrl_controller
from mbrl_controller.contract import ros_types

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "mbrl_controller").rglob("*.py"))
DATA = ("launch", "config", "models", "sim")
EXECUTABLES = {"mbrl", "controller", "logger", "sim", "joint_poller", "panel", "signals", "retrain"}
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
    used |= {str(name).partition("/")[0] for name in vars(ros_types).values() if "/msg/" in str(name)}  # by their names
    used = {name for name in used if ROS_PACKAGES.match(name)}
    declared = {e.text for e in manifest.iter("exec_depend") if e.text and ROS_PACKAGES.match(e.text)}
    assert declared == used
    assert "ros2launch" in {e.text for e in manifest.iter("exec_depend")}  # which starts what is in launch/


# Key of rosdep -> the packages that pip would install for it, with all that these bring of what setup.py asks for.
KEYS = {
    "mcap-ros2-support": {"mcap-ros2-support", "mcap"},
    "python3-gymnasium-robotics-pip": {"gymnasium-robotics"},
    "python3-hypothesis": {"hypothesis"},
    "python3-mujoco-pip": {"mujoco"},
    "python3-numpy": {"numpy"},
    "python3-onnxruntime-pip": {"onnxruntime"},
    "python3-pil": {"pillow"},
    "python3-pytest": {"pytest"},
    "python3-rich": {"rich"},
    "python3-rosbags-pip": {"rosbags", "lz4", "zstandard"},
    "python3-yaml": {"pyyaml"},
}


def requirements(block: str) -> set[str]:
    """Names in a list of setup.py."""
    found = re.search(rf"{block}[^\[]*\[(.*?)\]", (ROOT / "setup.py").read_text(), re.DOTALL)
    assert found, block
    return set(re.findall(r'"([\w-]+)[=><]', found[1]))


def test_rosdep_and_the_readmes_line_bring_what_pip_would(manifest: ET.Element) -> None:
    needed = requirements("install_requires") | requirements("SIM =") | requirements('"test":') - {"onnx"}
    keys = {e.text for tag in ("exec_depend", "test_depend") for e in manifest.iter(tag) if e.text}
    keys = {key for key in keys if not ROS_PACKAGES.match(key)} - {"ros2launch"}
    assert keys == set(KEYS)
    readme = (ROOT / "README.md").read_text()
    line = re.search(r"^    python3 -m pip install ((?:.*\\\n)*.*)$", readme, re.MULTILINE)
    assert line
    by_pip = set(re.findall(r"[\w-]+", re.sub(r"[>=]+[\d.]+", "", line[1])))
    by_apt = {key for key in keys if not re.search(r"-pip$|^mcap", key)}
    assert by_pip | set().union(*(KEYS[key] for key in by_apt)) | KEYS["python3-rosbags-pip"] >= needed
    skipped = re.search(r'--skip-keys "([^"]*)"', readme)
    assert skipped
    assert set(skipped[1].replace("\\", "").split()) == keys - by_apt


def test_manifest_is_one_that_colcon_takes(manifest: ET.Element) -> None:
    assert manifest.get("format") == "3"
    assert manifest.findtext("export/build_type") == "ament_python"
    assert manifest.findtext("license") == "Apache-2.0"
    maintainer = manifest.find("maintainer")
    assert maintainer is not None
    # colcon silently takes the package for plain Python where this address is malformed
    assert re.fullmatch(r"[-\w.+]+@[-\w]+(\.[-\w]+)+", maintainer.get("email", ""))
    assert (ROOT / "resource" / str(manifest.findtext("name"))).is_file()


# From the ground up: what is in a room imports nothing from the rooms that stand after it.
ROOMS = (
    "base", "tasks", "models", "contract", "planning", "control", "episodes", "sharing", "simulation", "scaffold",
    "dynamics", "nodes", "bringup", "rollouts", "training", "stack", "learning", "reports", "replay", "panel",
    "benchmark", "cli",
)  # fmt: skip
PACKAGE = ROOT / "mbrl_controller"
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES}


def own_imports(path: Path) -> set[str]:
    """The package's modules that a file imports, wherever in it, by full name."""
    found = {name for name in imports(path) if name in MODULES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {full for alias in node.names if (full := f"{node.module}.{alias.name}") in MODULES}
    return found - {"mbrl_controller"}


def test_every_module_is_in_a_room() -> None:
    outside = {path.name for path in SOURCES if path.parent == PACKAGE}
    assert outside == {"__init__.py", "__main__.py"}
    assert {path.relative_to(PACKAGE).parts[0] for path in SOURCES if path.parent != PACKAGE} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    allowed = ROOMS[: ROOMS.index(room) + 1]
    strays = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (PACKAGE / room).rglob("*.py")
        for name in own_imports(path)
        if name.split(".")[1] not in allowed
    ]
    assert not strays


def rooms_in(pattern: str, text: str) -> tuple[str, ...]:
    """The rooms that a list or table names, in its order."""
    return tuple(name for name in re.findall(pattern, text, re.MULTILINE) if name in ROOMS)


def test_the_maps_have_the_rooms_in_their_order() -> None:
    assert rooms_in(r"^    (\w+)  +\S", mbrl_controller.__doc__ or "") == ROOMS
    assert rooms_in(r"^\| `(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text()) == ROOMS


MAPS = ("README.md", "CONTRIBUTING.md", "docs/architecture.md")
FOLDERS = (
    "benchmarks",
    "config",
    "docs",
    "examples",
    "launch",
    "mbrl_controller",
    "models",
    "sim",
    "tests",
    "tools",
    *ROOMS,
)


@pytest.mark.parametrize("name", MAPS)
def test_every_path_that_a_map_names_exists(name: str) -> None:
    file = ROOT / name
    text = file.read_text()
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link} - {""}
    missing = [link for link in links if not (file.parent / link).exists()]
    named = set(re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", text))
    missing += [path for path in named if not (ROOT / path).exists() and not (PACKAGE / path).exists()]
    boxes = set(re.findall(rf"\b(?:{'|'.join(ROOMS)})/\w+", "".join(re.findall(r"```mermaid.*?```", text, re.DOTALL))))
    missing += [box for box in boxes if not (PACKAGE / f"{box}.py").exists()]
    assert not missing
    assert links


@pytest.mark.parametrize("name", MAPS)
def test_every_class_and_constant_that_a_map_names_exists(name: str) -> None:
    code = "\n".join(path.read_text() for path in SOURCES)
    words = set(re.findall(r"`((?:[A-Z][a-z]+){2,}(?:\.\w+)?|[A-Z_]{4,})`", (ROOT / name).read_text())) - {"MBRL_HOME"}
    patterns = {word: r"(?:^|\bclass |\bdef )" + word.rpartition(".")[2] + r"\b" for word in words}
    patterns |= {
        word: rf"\bclass {word.partition('.')[0]}\b(?:.|\n)*?def {word.partition('.')[2]}\b"
        for word in words
        if "." in word
    }
    assert not [word for word, pattern in patterns.items() if not re.search(pattern, code, re.MULTILINE)]


def test_the_map_finds_each_function_in_the_file_it_names() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    found = re.findall(r"`([\w.]+)` in \[[^\]]*\]\(([^)]+\.py)\)", text)
    assert len(found) > 4
    code = {path: (ROOT / "docs" / path).read_text() for _, path in found}
    assert not [(n, path) for n, path in found if not re.search(rf"(def|class) {n.rpartition('.')[2]}\b", code[path])]


def test_every_module_that_the_packages_docstring_names_exists() -> None:
    text = mbrl_controller.__doc__ or ""
    dotted = set(re.findall(rf"\b(?:{'|'.join(ROOMS)})\.\w+", text))
    missing = [name for name in dotted if f"mbrl_controller.{name}" not in MODULES]
    for room, line in re.findall(r"^    (\w+)  +(.*(?:\n      .*)*)", text, re.MULTILINE):
        modules = re.findall(r"`(\w+)`", line)
        missing += [f"{room}.{m}" for m in modules if room != "cli" and f"mbrl_controller.{room}.{m}" not in MODULES]
    assert len(dotted) > 4
    assert not missing


def test_no_module_imports_itself_in_the_end() -> None:
    below = {name: own_imports(path) - {name} for name, path in MODULES.items()}
    while free := [name for name, names in below.items() if not names & below.keys()]:
        for name in free:
            del below[name]
    assert not below  # what is left is in a cycle, or above one


@pytest.mark.parametrize(
    ("modules", "rooms"),
    [
        (("rclpy",), ("nodes", "stack", "panel")),
        (("launch", "launch_ros"), ("bringup",)),
        (("torch",), ("dynamics",)),
        (("mujoco",), ("simulation", "nodes", "rollouts")),
        (("gymnasium",), ("rollouts", "training")),
        (("stable_baselines3",), ("training",)),
    ],
)
def test_heavy_imports_stay_in_their_rooms(modules: tuple[str, ...], rooms: tuple[str, ...]) -> None:
    strays = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if path.relative_to(PACKAGE).parts[0] not in rooms
        for name in imports(path)
        if name.partition(".")[0] in modules
    ]
    assert not strays


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("package") / "source"
    skip = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "install", "log", "dist", "venv")
    shutil.copytree(ROOT, folder, ignore=skip)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "-w", str(folder), str(source)]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_source_distribution_is_the_whole_package(source: Path, tmp_path: Path) -> None:
    setuptools = pytest.importorskip("setuptools")
    code = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=source, check=True, timeout=120, capture_output=True
    )
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    generated = {path for path in files if path.parts[0].endswith(".egg-info")}
    missing = {path.as_posix() for path in files if path not in generated and path.suffix != ".pyc"} - packed
    assert not missing, setuptools.__version__


@pytest.mark.slow
def test_a_package_index_shows_no_broken_picture_or_link(wheel: Path, manifest: ET.Element) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(name).decode())
    page = metadata.get_payload()
    assert len(page) > 5000
    assert "![" not in page
    assert not re.findall(r"\]\((?!https://|#)[^)]*\)", page)
    urls = dict(entry.split(", ") for entry in metadata.get_all("Project-URL"))
    assert {"Documentation", "Source", "Changelog", "Issues"} <= set(urls)
    declared = {element.get("type"): element.text for element in manifest.iter("url")}
    assert (declared["repository"], declared["bugtracker"]) == (urls["Source"], urls["Issues"])


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
def test_wheel_says_that_its_types_can_be_checked(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert "mbrl_controller/py.typed" in archive.namelist()


@pytest.mark.slow
def test_installed_wheel_has_one_command_on_path_and_ros_finds_the_rest(wheel: Path, tmp_path: Path) -> None:
    """`logger` on PATH would hide the system's; `ros2 run` and launch look into lib/<package> alone."""
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
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(packages), "AMENT_PREFIX_PATH": str(prefix), "PATH": path}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    version = f"mbrl {mbrl_controller.__version__}"
    assert [path.name for path in (prefix / "bin").iterdir()] == ["mbrl"]
    assert run(str(prefix / "bin" / "mbrl"), "--version") == version
    executables = prefix / "lib" / "mbrl_controller"
    assert {path.name for path in executables.iterdir()} == EXECUTABLES
    assert all(os.access(path, os.X_OK) for path in executables.iterdir())
    assert run(str(executables / "mbrl"), "--version") == version  # there is no Python in bin/: that of PATH
    assert "retrain" in run(str(executables / "retrain"), "--help")
    code = "from mbrl_controller.base.resources import share_dir; print(share_dir())"
    assert run(sys.executable, "-c", code) == str(prefix / "share" / "mbrl_controller")

    own = prefix / "bin" / "python3"
    own.write_text('#!/bin/sh\necho "$0" "$@"\n')
    own.chmod(0o755)
    nodes = ("controller", "logger", "sim", "joint_poller")
    modules = {name: f"nodes.{name}" for name in nodes}
    for name, module in modules.items():
        assert run(str(executables / name), "--ros-args", "a b") == f"{own} -m mbrl_controller.{module} --ros-args a b"


@pytest.mark.slow
def test_colcon_installs_every_executable_where_ros_looks_and_none_on_path(source: Path, tmp_path: Path) -> None:
    """The command that `colcon build` runs for ament_python."""
    pytest.importorskip("setuptools")
    prefix, built = tmp_path / "install", tmp_path / "build"
    packages = prefix / "lib" / "packages"
    for folder in (packages, built):
        folder.mkdir(parents=True)
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "egg_info", "--egg-base", str(built)]
    command += ["build", "--build-base", str(built / "build"), "install", "--prefix", str(prefix)]
    command += ["--install-lib", str(packages), "--record", str(built / "install.log")]
    command += ["--install-scripts", "$base/lib/mbrl_controller", "--single-version-externally-managed"]
    subprocess.run(command, cwd=source, check=True, timeout=300, capture_output=True)
    assert not (prefix / "bin").exists()
    executables = prefix / "lib" / "mbrl_controller"
    assert {path.name for path in executables.iterdir()} == EXECUTABLES
    for path in executables.iterdir():
        assert os.access(path, os.X_OK)
        assert path.read_text().startswith(f"#!{sys.executable}\n")  # whatever Python comes first on PATH later
    environment = {**os.environ, "PYTHONPATH": str(packages), "AMENT_PREFIX_PATH": str(prefix)}
    done = subprocess.run(
        [executables / "mbrl", "--version"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == f"mbrl {mbrl_controller.__version__}"


def test_every_python_file_says_whose_it_is_and_under_which_licence() -> None:
    folders = ("benchmarks", "docs", "examples", "launch", "mbrl_controller", "tests", "tools")
    files = [ROOT / "setup.py", *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]
    assert len(files) > 300
    lines = r"(#!.*\n)?# Copyright \d{4} mbrl_controller authors\n# SPDX-License-Identifier: Apache-2.0\n"
    assert not [str(path.relative_to(ROOT)) for path in files if not re.match(lines, path.read_text())]


UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
NETWORK = {"socket", "socketserver", "http", "urllib", "requests", "ftplib", "xmlrpc", "asyncio", "aiohttp", "zmq"}
LOCAL_ONLY = {
    *("viewer.py", "demo.py", "processes.py"),  # the viewer's port on 127.0.0.1
    "access.py",  # takes addresses apart: who may use the panel's page, which viser serves
    "panel.py",  # the benchmark's reader of that page, on 127.0.0.1
    "first_start.py",  # waits in launch's own event loop
    "ray_pool.py",  # asks whether the cluster that --on names is there
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_and_nothing_but_ros_listens(path: Path) -> None:
    """A model, a log or a message can run no code, and the only wire is DDS, but for `mbrl share`, by fsspec."""
    used = {name.partition(".")[0] for name in imports(path)}
    assert not used & UNSAFE
    assert not used & NETWORK or path.name in LOCAL_ONLY
    text = path.read_text()
    assert "torch.load" not in text
    assert "allow_pickle=True" not in text
    assert text.count("np.load(") == text.count("allow_pickle=False")
