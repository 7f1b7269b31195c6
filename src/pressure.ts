/** What the kernel says when this process or the system is short of something: later it may go. */
export const PRESSURE: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);
