fn main() -> std::process::ExitCode {
    skua::main()
}
