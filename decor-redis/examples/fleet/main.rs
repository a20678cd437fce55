mod server;
fn main() {}
