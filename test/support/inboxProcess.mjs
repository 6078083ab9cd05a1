// An inbox in a process of its own, whose work is not the web process's: fork it with its faults as JSON; it sends its URL.
import { startInbox } from 'threadpost/testing'

const inbox = await startInbox({ faults: JSON.parse(process.argv[2] ?? '[]') })
process.send(inbox.url)
