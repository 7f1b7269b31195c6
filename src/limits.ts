/** The most descriptors in one message: `SCM_MAX_FD` of Linux, and kept to on macOS. */
export const MAX_FDS = 253;

/** The kernel's largest `int`: a descriptor, a wait in milliseconds. */
export const MAX_INT = 0x7fff_ffff;
