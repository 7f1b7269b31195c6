//! Link set-up of a Node-API addon (`-undefined dynamic_lookup` on macOS).
fn main() {
    napi_build::setup();
}
