// Builds dist/ from src/: hashed file names, one entry, what only one view needs in chunks of its own.
import { build } from "esbuild";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

// A folder elsewhere, to compare a build with what is committed.
const out = process.argv[2] ? `${process.argv[2]}/` : new URL("../dist/", import.meta.url).pathname;
const here = new URL("./", import.meta.url).pathname;

await rm(out, { recursive: true, force: true });
await mkdir(`${out}assets`, { recursive: true });

const result = await build({
  absWorkingDir: here,
  entryPoints: { portal: "src/main.ts" },
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  outdir: `${out}assets`,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  metafile: true,
});

const css = await build({ absWorkingDir: here, stdin: { contents: await readFile(`${here}src/portal.css`, "utf8"), loader: "css" }, minify: true, write: false });
const style = css.outputFiles[0].text;
const styleName = `portal-${createHash("sha256").update(style).digest("hex").slice(0, 8).toUpperCase()}.css`;
await writeFile(`${out}assets/${styleName}`, style);

const outputs = Object.entries(result.metafile.outputs);
const [script] = outputs.find(([, output]) => output.entryPoint === "src/main.ts");
const scriptName = script.split("/").at(-1);
const index = (await readFile(`${here}src/index.html`, "utf8")).replace("{{script}}", scriptName).replace("{{style}}", styleName);
await writeFile(`${out}index.html`, index);
await cp(`${here}src/manifest.webmanifest`, `${out}manifest.webmanifest`);
await cp(`${here}src/icon.svg`, `${out}icon.svg`);

// What the first view loads: the entry with everything it imports statically.
const first = new Set();
const visit = (name) => {
  if (first.has(name)) return;
  first.add(name);
  for (const { path, kind } of result.metafile.outputs[name].imports) if (kind === "import-statement") visit(path);
};
visit(script);
let bytes = gzipSync(index).length + gzipSync(style).length;
for (const name of first) bytes += gzipSync(await readFile(new URL(name, `file://${here}`))).length;
console.log(`first load: ${(bytes / 1024).toFixed(1)} KiB compressed`);
if (bytes > 60 * 1024) {
  console.error("the first load must be at most 60 KiB");
  process.exit(1);
}
