// A step of the build. The dashboard's browser part becomes one script. The packages that compile templates are bundled without
// the parts that are never used, which would bring 150 packages into an application: see "Decisions" in CONTRIBUTING.md. The modules
// of each kind of thread become one script, too.
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { build } from 'esbuild'
import { usedParts } from './usedParts.mjs'

const root = path.dirname(import.meta.dirname)
const dist = path.join(root, 'dist')

await build({
  entryPoints: [path.join(root, 'src/dashboard/app/app.tsx')],
  outdir: path.join(dist, 'src/dashboard/assets'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome111', 'firefox113', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  logLevel: 'warning',
})

const { metafile } = await build({
  entryPoints: ['mjmlPackages', 'cssPackages'].map((name) => path.join(root, `workers/render/${name}.ts`)),
  outdir: path.join(dist, 'workers/render'),
  chunkNames: 'sharedPackages',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifyWhitespace: true,
  minifySyntax: true,
  minifyIdentifiers: true,
  // MJML names components after their classes.
  keepNames: true,
  lineLimit: 120,
  legalComments: 'none',
  banner: {
    js: "import{createRequire as requireForBundle}from'node:module';const require=requireForBundle(import.meta.url);",
  },
  plugins: [usedParts],
  metafile: true,
  logLevel: 'warning',
})

// One by one, the modules of a thread would take half as long again, each time a thread starts.
// Parts that are loaded on demand stay apart. The modules remain, for mailers without threads.
const onDemand = /\/(mjmlPackages|cssPackages)\.js$/
await build({
  entryPoints: ['thread', 'outbox', 'listTemplates'].map((name) => path.join(dist, `workers/${name}.js`)),
  outdir: path.join(dist, 'workers/threads'),
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'esnext',
  minifyWhitespace: true,
  lineLimit: 120,
  packages: 'external',
  plugins: [
    {
      name: 'bundles of packages',
      setup({ onResolve }) {
        onResolve({ filter: onDemand }, ({ path: name }) => ({
          path: `../render/${path.basename(name)}`,
          external: true,
        }))
      },
    },
  ],
  logLevel: 'warning',
})
await copyFile(path.join(dist, 'workers/entry.cjs'), path.join(dist, 'workers/threads/entry.cjs'))

/** The licenses of the bundled packages, which ask to be kept with every copy. */
const folders = new Set(
  Object.keys(metafile.inputs).flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []),
)
/** The packages by the terms of their licenses, and then by the notices before those: many share them but for line breaks. */
const byTerms = new Map()
for (const folder of [...folders].sort()) {
  const { name, version, license } = JSON.parse(
    await readFile(path.join(root, folder, 'package.json'), 'utf8'),
  )
  const file = (await readdir(path.join(root, folder))).find((each) => /^licen[cs]e/i.test(each))
  const text = file === undefined ? '' : (await readFile(path.join(root, folder, file), 'utf8')).trim()
  const start = Math.max(0, text.search(/^(?:Permission|Redistribution)/m))
  const [notice, terms] = [text.slice(0, start).trim(), text.slice(start)]
  const key = terms.replace(/\s+/g, ' ')
  const group = byTerms.get(key) ?? { terms, byNotice: new Map() }
  const packages = group.byNotice.get(notice) ?? new Set()
  group.byNotice.set(notice, packages.add(`${name} ${version} (${license})`))
  byTerms.set(key, group)
}
const licenses = [...byTerms.values()].map(({ terms, byNotice }) =>
  [
    ...[...byNotice].map(([notice, packages]) => `${[...packages].join('\n')}\n\n${notice}`.trim()),
    terms,
  ].join('\n\n'),
)
await writeFile(
  path.join(dist, 'workers/render/LICENSES.txt'),
  `${licenses.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`,
)
