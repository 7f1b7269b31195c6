/** What must work on every runtime, in one process; see `scripts/smoke-runtimes.mjs`. Its last line is its result. */
import { checkChannels } from './channels.js';
import { check, finish, openDescriptors, until } from './check.js';
import { checkConnections } from './connections.js';
import { checkConversions } from './conversions.js';
import { checkMessages } from './messages.js';
import { checkPrefork } from './prefork.js';

await checkMessages();
// By now the runtime has opened what it opens on first use; the event loop's part comes with the first channel.
await checkChannels();
const before = openDescriptors();
await checkMessages();
await checkChannels();
await check('everything that was opened is closed', () => until(() => openDescriptors() <= before));
await checkConnections();
await checkConversions();
await checkPrefork();
finish();
