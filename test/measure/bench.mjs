// `threadpost bench` with the programs that `npm test` found or fetched (smtp-sink, smtp-source, redis-server):
//   npm run build && node test/measure/bench.mjs --targets
import { spawn } from 'node:child_process'
import path from 'node:path'
import { findTools } from '../support/prerequisites.mjs'

const main = path.resolve(import.meta.dirname, '../../dist/src/cli/main.js')
const found = ['smtp-sink', 'smtp-source', 'redis-server'].flatMap((name) => findTools()[name] ?? [])
const folders = found.map(({ command }) => path.dirname(command))
const libraries = found.flatMap(({ env }) => env.LD_LIBRARY_PATH ?? [])
const env = {
  ...process.env,
  PATH: [process.env.PATH, ...folders].join(path.delimiter),
  ...(libraries.length > 0 && { LD_LIBRARY_PATH: libraries.join(':') }),
}
const child = spawn(process.execPath, [main, 'bench', ...process.argv.slice(2)], { stdio: 'inherit', env })
child.on('exit', (code) => (process.exitCode = code ?? 1))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
