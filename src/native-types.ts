/**
 * The functions that the binding registers as raw Node-API callbacks, for which the napi CLI generates no types
 * (`crates/fdpass-napi/src/raw.rs`). Declared by hand, in the order of that file.
 */
// biome-ignore lint/suspicious/noEmptyInterface: the raw callbacks are declared here as they are written
export interface RawBinding {}
