//! Tells the linker what a Node.js addon needs, and where a reply over DDS names its request.

fn main() {
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if linux && cfg!(feature = "ros2") {
        // See src/ros2/sertype.rs.
        println!("cargo:rustc-link-arg=-Wl,--wrap=ddsi_xmsg_serdata");
    }
    #[cfg(feature = "node")]
    napi_build::setup();
}
