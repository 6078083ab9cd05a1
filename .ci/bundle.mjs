// A step of the build: the dashboard's browser part becomes one script.
import path from 'node:path'
import { build } from 'esbuild'

const root = path.dirname(import.meta.dirname)

await build({
  entryPoints: [path.join(root, 'src/dashboard/app/app.tsx')],
  outdir: path.join(root, 'dist/src/dashboard/assets'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome111', 'firefox113', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  logLevel: 'warning',
})
