// Runs one scenario: node tests/run.mjs SCENARIO URL [DATA]. Ends with 1 if something is not as it should be.
import { fstatSync } from "node:fs";
import { browser } from "./browser.mjs";

const [name, base, data] = process.argv.slice(2);
const { default: scenario } = await import(`./scenarios/${name}.mjs`);
// A test that starts this script holds its standard input open, and lets go when it gives up or is killed.
if (fstatSync(0).isFIFO()) process.stdin.on("end", () => process.exit(1)).resume();
const started = Date.now();
const used = await browser();
try {
  await scenario({ used, base, data });
  console.log(`${name}: done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
} catch (error) {
  console.error(`${name}: ${error.stack ?? error}`);
  process.exitCode = 1;
} finally {
  await used.close();
  process.stdin.destroy();
}
