import { execFileSync } from 'node:child_process'
import { open, truncate } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { createLoopDevice, whyNoLoopDevices } from '@granary/testing'
import t from 'tap'
import { loadNative } from '../src/index.ts'
import { readWhole, sameBytes, sparseFile } from './scratch.ts'

const native = await loadNative()
const skip = native === undefined ? 'this system has no native calls' : false

t.test('finds data and holes, and says when there is no more', { skip }, async t => {
  const MiB = 1024 ** 2
  const path = await sparseFile(new Uint8Array(8 * MiB).fill(1), [{ offset: 2 * MiB, length: MiB }])
  await using file = await open(path)
  t.equal(native?.seekData(file.fd, 0), 2 * MiB)
  t.equal(native?.seekHole(file.fd, 2 * MiB), 3 * MiB)
  t.equal(native?.seekData(file.fd, 3 * MiB), undefined)
  t.equal(native?.seekHole(file.fd, 9 * MiB), undefined)
  await truncate(path, 2 ** 43)
  t.equal(native?.seekHole(file.fd, 2 ** 42), 2 ** 42, 'offsets beyond 32 bits')
  t.throws(() => native?.seekData(-1, 0), { code: 'EBADF', syscall: 'lseek' })
})

t.test('a lock keeps other opens of the file out until it is given up', { skip }, async t => {
  const path = await sparseFile(new Uint8Array(1), [])
  await using first = await open(path, 'r+')
  await using second = await open(path, 'r+')
  t.equal(native?.flock(first.fd, 'shared'), true)
  t.equal(native?.flock(second.fd, 'shared'), true)
  t.equal(native?.flock(second.fd, 'exclusive'), false)
  t.equal(native?.flock(first.fd, 'none'), true)
  t.equal(native?.flock(second.fd, 'exclusive'), true)
  t.equal(native?.flock(first.fd, 'shared'), false)
  t.throws(() => native?.flock(-1, 'shared'), { code: 'EBADF', syscall: 'flock' })
})

t.test('punches a hole and gives the space back; says no where that is impossible', { skip }, async t => {
  const path = await sparseFile(new Uint8Array(1024 ** 2).fill(5), [{ offset: 0, length: 1024 ** 2 }])
  await using file = await open(path, 'r+')
  await file.sync()
  const before = await file.stat()
  t.equal(await native?.punchHole(file.fd, 0, 1024 ** 2), true)
  const after = await file.stat()
  t.ok(after.blocks < before.blocks)
  t.equal(after.size, before.size)
  t.equal(await native?.punchHole(-1, 0, 4096), false)
  t.equal(await native?.zeroRange(-1, 0, 4096), false)
})

t.test('knows the size of a device', { skip: skip || whyNoLoopDevices() }, async t => {
  await using device = await open(createLoopDevice(t, 3 * 1024 ** 2))
  t.equal(native?.blockDeviceSize(device.fd), 3 * 1024 ** 2)
  t.throws(() => native?.blockDeviceSize(-1), { code: 'EBADF' })
})

t.test('there is nothing where koffi is not installed, and copying works', async t => {
  const core = JSON.stringify(new URL('../src/index.js', import.meta.url).href)
  const hooks = `export const resolve = (name, context, next) => {
    if (name === 'koffi') throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' })
    return next(name, context)
  }`
  const path = await sparseFile(new Uint8Array(1024 ** 2).fill(9), [{ offset: 500_000, length: 1000 }])
  const code = `
    import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}))
    const { copyDisk, createRawDisk, loadNative, openRawReader } = await import(${core})
    const reader = await openRawReader(process.argv[1])
    const writer = await createRawDisk(process.argv[1] + '.copy', reader.sizeBytes)
    const { writtenBytes } = await copyDisk(reader, writer)
    await reader[Symbol.asyncDispose]()
    await writer[Symbol.asyncDispose]()
    console.log(JSON.stringify({ isLoaded: (await loadNative()) !== undefined, writtenBytes }))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', code, path], { encoding: 'utf8' })
  t.match(JSON.parse(output), { isLoaded: false, writtenBytes: 4096 })
  t.ok(sameBytes(await readWhole(`${path}.copy`), await readWhole(path)))
})

t.test('loads in a worker as well', { skip }, async t => {
  const core = new URL('../src/index.js', import.meta.url).href
  const code = `
    import { parentPort } from 'node:worker_threads'
    const { loadNative } = await import(${JSON.stringify(core)})
    parentPort.postMessage(Object.keys(await loadNative()).length)`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
  const calls = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  t.equal(calls, 6)
  await worker.terminate()
})
