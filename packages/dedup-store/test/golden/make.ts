/**
 * Makes the golden repositories of format 1: `node packages/dedup-store/dist/test/golden/make.js FOLDER`. They were made once and
 * are never made again for this version: what reads format 1 must read them for ever. Those in `v1` are from before packs and
 * decisions were signed, those in `v1-signed` have write-only clients, an escrow slot and a second generation of keys, too.
 */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { join } from 'node:path'
import { memoryDisk } from '@granary/core'
import type { Bytes } from '@granary/core'
import { parseChunker } from '@granary/chunker'
import { publicKeyOf } from '@granary/transform'
import type { Kdf, Keyring } from '@granary/transform'
import { seededBytes } from '@granary/testing/simulation'
import {
  addClient,
  addSlot,
  backup,
  check,
  collect,
  fileBackend,
  forgetSnapshot,
  initRepository,
  openRepository,
  revoke,
  rotateKeys,
} from '../../src/index.ts'
import type { Clock, Repository, Snapshot } from '../../src/index.ts'
import type { GoldenRepository } from './golden.ts'
import { GOLDEN_PASSPHRASE, goldenEscrowKey } from './golden.ts'

const KiB = 1024
const START_MS = Date.UTC(2026, 0, 1)

os.hostname = () => 'golden'
syncBuiltinESMExports()

/** Every look at it is a second later. */
const tickingClock = (): Clock => {
  let nowMs = START_MS
  return {
    now: () => (nowMs += 1000),
    sleep: async (_, signal) =>
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))),
  }
}

/** Text, zeros, noise, and a last block that is none. */
const makeDisk = (sizeBytes: number, seed: number): Bytes => {
  const disk = new Uint8Array(sizeBytes)
  Buffer.from(disk.buffer, 0, 40 * KiB).fill(`the ${seed}th barrel of grain; `)
  disk.set(seededBytes(4 * KiB, seed), 100 * KiB)
  disk.set(seededBytes(100, seed + 1), sizeBytes - 100)
  return disk
}

const CHEAP: Kdf = { name: 'argon2id', memoryKiB: 64, passes: 1, lanes: 1 }

const sha256 = (bytes: Bytes): string => createHash('sha256').update(bytes).digest('hex')

const make = async (folder: string, suite: string, key: Bytes): Promise<GoldenRepository> => {
  const secret = { kind: 'key-file', key } as const
  await mkdir(folder, { recursive: true })
  const backend = fileBackend(folder)
  await initRepository(backend, secret, { suite, chunker: 'grid:32k' })
  const clock = tickingClock()
  let repository: Repository = await openRepository(backend, secret, { clock })
  await addSlot(
    backend,
    repository.keyring as Keyring,
    { kind: 'passphrase', passphrase: GOLDEN_PASSPHRASE },
    { label: 'passphrase', kdf: CHEAP },
  )
  const escrow = { kind: 'escrow', publicKey: publicKeyOf(goldenEscrowKey) } as const
  await addSlot(backend, repository.keyring as Keyring, escrow, { label: 'escrow' })
  const snapshots: GoldenRepository['snapshots'][number][] = []
  const store = async (
    name: string,
    disks: Readonly<Record<string, Bytes>>,
    chunker: string,
    compression: string,
    by: Repository = repository,
  ): Promise<Snapshot> => {
    const inputs = Object.entries(disks).map(([disk, bytes]) => ({
      name: disk,
      source: `raw:${disk}`,
      disk: memoryDisk(bytes),
    }))
    const snapshot = await backup(by, inputs, {
      name,
      chunker: parseChunker(chunker),
      compression,
      workers: 0,
      labels: { made: 'once' },
    })
    snapshots.push({
      id: snapshot.id,
      name,
      timeMs: snapshot.timeMs,
      disks: Object.entries(disks).map(([disk, bytes]) => ({
        name: disk,
        sizeBytes: bytes.length,
        sha256: sha256(bytes),
      })),
    })
    return snapshot
  }
  const changed = makeDisk(300 * KiB + 5, 1)
  const early = await store('miller', { root: changed }, 'grid:32k', 'zstd:3')
  await forgetSnapshot(repository.context, early.id)
  changed.set(seededBytes(3000, 9), 200 * KiB)
  await store('miller', { root: changed }, 'grid:32k', 'zstd:1')
  await collect(repository)
  await store('baker', { root: makeDisk(200 * KiB, 2), data: makeDisk(33 * 1024 * KiB, 3) }, 'fixed:64k', 'lz4')
  const late = await store('miller', { root: makeDisk(300 * KiB + 5, 4) }, 'grid:32k', 'zstd:19')
  await store('reaper', { root: seededBytes(9 * KiB, 5) }, 'fastcdc:64k', 'none')
  await forgetSnapshot(repository.context, late.id)
  for (const name of ['first', 'second']) {
    const { file } = await addClient(repository, `${name} client`)
    const client = await openRepository(backend, { kind: 'client', file }, { clock })
    await store(name, { root: makeDisk(150 * KiB, 6) }, 'grid:32k', 'zstd:3', client)
    if (name === 'second') await store(name, { root: makeDisk(160 * KiB, 7) }, 'grid:32k', 'zstd:3', client)
    else await check(repository, { readData: 1 })
  }
  await revoke(repository, 'second client')
  const passphrase = { kind: 'passphrase', passphrase: GOLDEN_PASSPHRASE } as const
  await rotateKeys(repository, { keep: [secret, passphrase, escrow] })
  repository = await openRepository(backend, secret, { clock })
  await store('miller', { root: makeDisk(280 * KiB, 8) }, 'grid:32k', 'zstd:3', repository)
  const forgotten = [early.id, late.id]
  return { suite, snapshots: snapshots.filter(({ id }) => !forgotten.includes(id)), forgotten }
}

const [folder = 'v1'] = process.argv.slice(2)
const key = seededBytes(32, 1)
await mkdir(folder, { recursive: true })
await writeFile(join(folder, 'key'), key)
const repositories: GoldenRepository[] = []
for (const suite of ['aes-256-gcm', 'chacha20-poly1305']) repositories.push(await make(join(folder, suite), suite, key))
await writeFile(join(folder, 'expected.json'), `${JSON.stringify(repositories, undefined, 2)}\n`)
