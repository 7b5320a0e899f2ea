/** How a server ends, and what it finds where it wants to listen. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { DiskReader, DiskWriter } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { connectNbd, serveNbd } from '../src/index.ts'
import type { NbdServer } from '../src/index.ts'
import { temporaryFolder } from './peers.ts'

const MiB = 1024 * 1024

const serve = async (
  disk: DiskReader & DiskWriter,
  closeGraceMs: number,
): Promise<{ readonly server: NbdServer; readonly path: string }> => {
  const path = join(temporaryFolder(t), 's')
  const exports = [{ name: '', disk, isWritable: true }]
  const server = await serveNbd({ exports, listen: { kind: 'unix', path }, limits: { closeGraceMs } })
  t.teardown(async () => server.close())
  return { server, path }
}

t.test('closing lets work finish, refuses new work, and waits for nobody longer than its grace', async t => {
  let finish = (): void => undefined
  let entered = (): void => undefined
  const disk = memoryDisk(seededBytes(MiB, 2))
  const slow: DiskReader & DiskWriter = {
    ...disk,
    async read(offset, target, options) {
      await new Promise<void>(resolve => {
        finish = resolve
        entered()
      })
      await disk.read(offset, target, options)
    },
  }
  const options = { reconnectAttempts: 0 }
  const beginRead = async (path: string) => {
    const client = await connectNbd(`nbd+unix:///?socket=${path}`, options)
    const isEntered = new Promise<void>(resolve => {
      entered = resolve
    })
    const reading = client.read(0, new Uint8Array(4096))
    await isEntered
    return { client, reading }
  }
  const { path, server } = await serve(slow, 600_000)
  const patient = await beginRead(path)
  const closing = server.close()
  await t.rejects(connectNbd(`nbd+unix:///?socket=${path}`, options), { code: 'GRANARY_IO' })
  finish()
  await patient.reading
  await closing
  t.notOk(existsSync(path), 'the socket is gone')
  await patient.client[Symbol.asyncDispose]()

  const stuck = await serve(slow, 50)
  const waiting = await beginRead(stuck.path)
  const end = stuck.server.close()
  await t.rejects(waiting.reading, { code: 'GRANARY_IO' }, 'the grace is over')
  finish()
  await end
  await waiting.client[Symbol.asyncDispose]()
})

t.test(
  'a disk that does not finish a change holds up no end: the change is aborted, and was never acknowledged',
  async t => {
    let entered = (): void => undefined
    const disk = memoryDisk(new Uint8Array(MiB))
    const untilAborted = async (signal?: AbortSignal): Promise<never> =>
      new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('aborted')))
        entered()
      })
    const stuck: DiskReader & DiskWriter = {
      ...disk,
      write: async (_offset, _bytes, options) => untilAborted(options?.signal),
      zero: async (_offset, _length, options) => untilAborted(options?.signal),
      flush: async options => untilAborted(options?.signal),
    }
    for (const change of ['write', 'zero', 'flush'] as const) {
      const { path, server } = await serve(stuck, 10)
      const client = await connectNbd(`nbd+unix:///?socket=${path}`, { reconnectAttempts: 0 })
      const isEntered = new Promise<void>(resolve => {
        entered = resolve
      })
      const changing =
        change === 'write'
          ? client.write(0, new Uint8Array(4096))
          : change === 'zero'
            ? client.zero(0, 4096)
            : client.flush()
      await isEntered
      await Promise.all([t.rejects(changing, { code: 'GRANARY_IO' }, change), server.close()])
      await client[Symbol.asyncDispose]()
    }
  },
)

t.test('a stale socket is replaced, a live one is not, and a file is left alone', async t => {
  const folder = temporaryFolder(t)
  const path = join(folder, 's')
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
  t.ok(existsSync(path), 'a killed server leaves its socket')
  const exports = [{ name: '', disk: memoryDisk(new Uint8Array(4096)) }]
  const server = await serveNbd({ exports, listen: { kind: 'unix', path } })
  await t.rejects(serveNbd({ exports, listen: { kind: 'unix', path } }), { code: 'GRANARY_LOCKED' })
  await server.close()
  t.notOk(existsSync(path))
  writeFileSync(path, 'precious')
  await t.rejects(serveNbd({ exports, listen: { kind: 'unix', path } }), { code: 'GRANARY_EXISTS' })
  t.equal(readFileSync(path, 'utf8'), 'precious')
  const abstract = { kind: 'unix', path: `\0granary-${process.pid}` } as const
  const hidden = await serveNbd({ exports, listen: abstract })
  await using disk = await connectNbd(hidden.uriOf())
  t.equal(disk.sizeBytes, 4096)
  await hidden.close()
})
