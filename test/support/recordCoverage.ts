import { writeFileSync } from 'node:fs'
import { Session, type Profiler } from 'node:inspector'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll } from 'vitest'

/**
 * While TEST_COVERAGE names a folder, each test file writes there which functions of the built package ran on its main thread:
 * see test/coverage.mjs. Calls are not counted, since that would keep V8 from optimizing. A function costs nothing more
 * once it has run.
 */
const folder = process.env['TEST_COVERAGE']
if (folder !== undefined) {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: false })
  afterAll(() => {
    session.post('Profiler.takePreciseCoverage', (error, report) => {
      if (error !== null) throw error
      write(folder, report)
    })
    session.disconnect()
  })
}

function write(folder: string, { result }: Profiler.TakePreciseCoverageReturnType): void {
  const built = pathToFileURL(path.join(import.meta.dirname, '../../dist')).href
  const scripts = result.filter(({ url }) => url.startsWith(built))
  if (scripts.length > 0) writeFileSync(path.join(folder, `${process.pid}.json`), JSON.stringify(scripts))
}
