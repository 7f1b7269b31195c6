/** Started with a channel: sends back what it gets. */
import { Channel } from 'fdpass';

const channel = Channel.fromParent();
for await (const message of channel) {
  const { length } = message.fds;
  await channel.send(`${new TextDecoder().decode(message.data)} ${length}`, message.fds, { transfer: true });
}
