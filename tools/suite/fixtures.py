"""Reference programs in build/venv, and what they make: for each
tools/make_NAME_fixtures.py OUT [ASSETS] the folder build/fixtures/NAME, which
the tests find by SKUA_NAME_FIXTURES."""
import shutil
import sys

from suite import core

VENV = core.BUILD / "venv"


def requirements():
    """Pins of the reference programs (models are not among them)."""
    files = (core.ROOT / "tools/requirements").glob("test-*.txt")
    return sorted(f for f in files if f.name != "test-models.txt")


def python():
    """The interpreter with the reference programs, else the running one."""
    own = VENV / "bin/python"
    return str(own) if (VENV / "stamp").exists() else sys.executable


def make_venv():
    """None, or the reason why the reference programs are not to be had."""
    key = core.digest(sys.version, *requirements())
    stamp = VENV / "stamp"
    if stamp.exists() and stamp.read_text() == key:
        return None
    shutil.rmtree(VENV, ignore_errors=True)
    status, output = core.run([sys.executable, "-m", "venv", VENV])
    if status != 0:
        return f"no virtual environment: {core.last_lines(output, 1)}"
    for file in requirements():
        status, output = core.run(
            [
                *(VENV / "bin/python", "-m", "pip", "install", "--quiet"),
                *("--disable-pip-version-check", "--no-deps"),
                *("--require-hashes", "--only-binary", ":all:", "-r", file),
            ]
        )
        if status != 0:
            return f"pip install {file.name}: {core.last_lines(output, 1)}"
    stamp.write_text(key)
    return None


def make_one(script, name):
    """None, or what went wrong. What the same script made before stays."""
    folder = core.BUILD / "fixtures" / name
    takes_assets = "[ASSETS]" in script.read_text()
    assets = [core.assets()] if takes_assets and core.assets().is_dir() else []
    key = core.digest(script, *requirements(), " ".join(map(str, assets)))
    stamp = folder.with_suffix(".stamp")
    if stamp.exists() and stamp.read_text() == key:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    status, output = core.run(
        [VENV / "bin/python", script, folder, *assets], cwd=core.ROOT
    )
    if status != 0:
        return output
    stamp.write_text(key)
    return None


def scripts():
    found = {}
    for script in sorted((core.ROOT / "tools").glob("make_*_fixtures.py")):
        name = script.stem.removeprefix("make_").removesuffix("_fixtures")
        found[name] = script
    return found


def list_tests():
    return ["fixtures/venv", *(f"fixtures/{name}" for name in scripts())]


def run(context):
    """Makes all fixtures and puts their folders into the environment."""
    absent = make_venv()
    if absent:
        context.report.skip("fixtures/venv", absent)
    elif context.wants("fixtures/venv"):
        context.report.ok("fixtures/venv")
    for name, script in scripts().items():
        if absent:
            context.report.skip(f"fixtures/{name}", "no fixtures/venv")
            continue
        wrong = make_one(script, name)
        if wrong:
            context.report.fail(f"fixtures/{name}", wrong)
            continue
        if context.wants(f"fixtures/{name}"):
            context.report.ok(f"fixtures/{name}")
        variable = f"SKUA_{name.upper()}_FIXTURES"
        context.env[variable] = str(core.BUILD / "fixtures" / name)
