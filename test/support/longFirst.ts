import path from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Folders whose tests wait for processes that are gone, start servers and browsers, or measure. */
const LONG = [
  'faults',
  'bench',
  'server',
  'dashboard',
  'cli',
  'queue',
  'project',
  'intake',
  'threads',
  'webhooks',
]
const tests = path.dirname(import.meta.dirname)

/** Starts the files of the long folders first, so that no core is idle while the last one ends; the larger ones within a folder. */
export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b))
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const [folder = ''] = path.relative(tests, moduleId).split(path.sep)
  const rank = LONG.indexOf(folder)
  return rank === -1 ? LONG.length : rank
}
