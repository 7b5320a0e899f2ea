/**
 * A server in a process of its own, for tests: `serve-main FILE LISTEN [FOLDER-OF-CERTIFICATES]`.
 * LISTEN is what `parseListenAddress` reads, or `activated` for the socket that was handed over.
 */
import { readFileSync } from 'node:fs'
import { memoryDisk } from '@granary/core'
import { activatedSockets, readNbdCertificates, serveNbd } from '../src/index.ts'

const [, , file = '', where = '', folder] = process.argv
const fd = activatedSockets(process.env, process.pid)[0]
if (where === 'activated' && fd === undefined) throw new Error('no socket was handed over')
const tls = folder === undefined ? undefined : await readNbdCertificates(folder, 'server')
const server = await serveNbd({
  exports: [{ name: '', disk: memoryDisk(readFileSync(file)), isWritable: true }],
  listen: where === 'activated' ? { kind: 'fd', fd: fd as number } : where,
  ...(tls?.cert === undefined || tls.key === undefined ? {} : { tls: { ca: tls.ca, cert: tls.cert, key: tls.key } }),
})
process.once('SIGTERM', () => void server.close())
await server.closed
