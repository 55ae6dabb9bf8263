//! What the tests run: the drivers, the official jars, the `skua` binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn interop() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// The folder with the jars of each set and the compiled drivers; fetched when absent.
pub fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        run(&mut Command::new(interop().join("java/fetch")));
        interop().join(".cache")
    })
}

/// The driver of the Go client, built when out of date.
pub fn go_driver() -> &'static Path {
    static DRIVER: OnceLock<PathBuf> = OnceLock::new();
    DRIVER.get_or_init(|| {
        let driver = interop().join(".cache/go-driver");
        run(Command::new("go")
            .args(["build", "-o"])
            .arg(&driver)
            .arg(".")
            .current_dir(interop().join("go")));
        driver
    })
}

/// The Python with the Python client installed, fetched when absent, and its driver.
pub fn python_driver() -> [PathBuf; 2] {
    static FETCHED: OnceLock<()> = OnceLock::new();
    FETCHED.get_or_init(|| run(&mut Command::new(interop().join("python/fetch"))));
    [interop().join(".cache/python/bin/python"), interop().join("python/driver.py")]
}

/// The folder with the Node client, fetched when absent, and its driver.
pub fn node_driver() -> [PathBuf; 2] {
    static FETCHED: OnceLock<()> = OnceLock::new();
    FETCHED.get_or_init(|| run(&mut Command::new(interop().join("node/fetch"))));
    [interop().join(".cache/node/node_modules"), interop().join("node/driver.js")]
}

/// The driver of the Rust client, built when out of date: some minutes the first time.
pub fn rust_driver() -> &'static Path {
    static DRIVER: OnceLock<PathBuf> = OnceLock::new();
    DRIVER.get_or_init(|| {
        let target = interop().join(".cache/rust");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        run(Command::new(cargo)
            .args(["build", "--locked", "--quiet", "--target-dir"])
            .arg(&target)
            .current_dir(interop().join("rust")));
        target.join("debug/rust-driver")
    })
}

pub fn java_server() -> PathBuf {
    interop().join("java-server")
}

pub fn logback() -> PathBuf {
    interop().join("java/logback.xml")
}

/// The class path of the unmodified quick-start classes.
pub fn quickstart_classpath() -> String {
    format!("{}/quickstart/lib/*", cache().display())
}

/// The binary under test: `$SKUA_BIN`, or the release build, brought up to date.
pub fn skua_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = env::var_os("SKUA_BIN") {
            return path.into();
        }
        let root = interop().parent().expect("interop is a folder of the workspace");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        run(Command::new(cargo)
            .args(["build", "--release", "--quiet", "-p", "skua"])
            .current_dir(root));
        let target = env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
        target.join("release/skua")
    })
}
