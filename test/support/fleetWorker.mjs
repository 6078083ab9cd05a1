// A process that delivers with the options in its argument, until SIGTERM.
import { createMailer } from 'threadpost'

const mailer = await createMailer(JSON.parse(process.argv[2]))
process.on('SIGTERM', () => void mailer.close())
process.send('delivers')
