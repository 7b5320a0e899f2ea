/** Begins something, says so, and waits to be killed. @module */
import { Journal } from '../../src/journal/journal.ts'

const journal = await Journal.open({ folder: process.argv[2] as string })
const entry = await journal.begin('backup', 'https://engine/ovirt-engine', { backup: 'b' })
await (await journal.begin('transfer', 'https://engine/ovirt-engine', {})).end()
await entry.learn({ snapshot: 's' })
process.send?.('ready')
setInterval(() => undefined, 1000)
