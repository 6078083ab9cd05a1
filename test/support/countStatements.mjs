// Preloaded with --import: in each thread it counts the SQL statements that are run, and tells when it is asked.
import { BroadcastChannel, isMainThread } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'

if (!isMainThread) {
  let count = 0
  const db = new Sqlite(':memory:')
  const statement = Object.getPrototypeOf(db.prepare('SELECT 1'))
  db.close()
  for (const name of ['run', 'get', 'all', 'iterate']) {
    const original = statement[name]
    statement[name] = function (...values) {
      count++
      return original.apply(this, values)
    }
  }
  const channel = new BroadcastChannel('statements')
  channel.unref()
  channel.onmessage = ({ data }) => {
    if (data === 'how many?') channel.postMessage(count)
  }
}
