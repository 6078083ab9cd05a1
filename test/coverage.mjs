// Computes the coverage of the built package from what test/support/recordCoverage.ts has written: the share of code that is in
// functions which ran on the main thread of a test. That includes workers/, which tests also run without threads.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const built = path.join(path.dirname(import.meta.dirname), 'dist')

/** The least coverage of each folder, in percent. Raise it as tests are added; never lower it. */
const FLOORS = {
  'src/delivery': 99,
  'src/message': 99,
  'src/queue': 96,
  'src/threads': 94,
  'workers/transports': 94,
}

/** @returns a line for each folder, and whether all of them reach their floors */
export async function coverage(reports) {
  const ran = new Map()
  for (const name of await readdir(reports))
    for (const script of JSON.parse(await readFile(path.join(reports, name), 'utf8')))
      await merge(ran, script)

  let ok = true
  const lines = []
  for (const [folder, floor] of Object.entries(FLOORS)) {
    let all = 0
    let covered = 0
    for (const name of await readdir(path.join(built, folder), { recursive: true })) {
      if (!name.endsWith('.js')) continue
      const file = path.join(built, folder, name)
      all += (await readFile(file, 'utf8')).length
      covered += ran.get(file)?.reduce((sum, bit) => sum + bit, 0) ?? 0
    }
    const percent = (100 * covered) / all
    ok &&= percent >= floor
    lines.push(`${folder}: ${percent.toFixed(1)} % covered (floor: ${floor} %)`)
  }
  return { ok, output: lines.join('\n') }
}

/** Marks the characters of a script that ran. Of nested functions, the innermost decides. */
async function merge(ran, { url, functions }) {
  const file = fileURLToPath(url)
  // A template in React is a script, too, without a file.
  if (!Object.keys(FLOORS).some((folder) => file.startsWith(path.join(built, folder)))) return
  const { length } = await readFile(file, 'utf8')
  const marks = new Uint8Array(length)
  const ranges = functions.map((each) => each.ranges[0])
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  for (const { startOffset, endOffset, count } of ranges)
    marks.fill(count > 0 ? 1 : 0, startOffset, endOffset)
  const known = ran.get(file)
  if (known === undefined) ran.set(file, marks)
  else for (const [index, mark] of marks.entries()) known[index] |= mark
}

if (process.argv[1] === import.meta.filename) console.log((await coverage(process.argv[2])).output)
