// Sends one event as a shop's Node server would: node deliver.mjs HOST KEY USER EVENT PROPERTIES
import { Analytics } from '@segment/analytics-node';

const [host, writeKey, userId, event, properties] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey });
analytics.on('error', (error) => {
  console.error(error);
  process.exitCode = 1;
});
analytics.track({ userId, event, properties: JSON.parse(properties) });
await analytics.closeAndFlush();
