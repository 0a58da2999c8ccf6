//! Has the client embedded anew when a file comes or goes; that one changes is noticed anyway.

fn main() {
    println!("cargo::rerun-if-changed=assets");
}
