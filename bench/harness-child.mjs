// The process in which harness.mjs measures one thing. Reports JSON on descriptor 3.
import { spawnSync } from 'node:child_process'
import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'

/** struct rusage on 64-bit Linux: two timevals, then fourteen longs, of which the first is the peak RSS in KiB. */
const RUSAGE_BYTES = 144
const RUSAGE_SELF = 0
const RUSAGE_CHILDREN = -1

/** The one that core has, as an optional dependency. */
const koffi = createRequire(new URL('../packages/core/package.json', import.meta.url))('koffi')
const getrusage = koffi.load(null).func('int getrusage(int who, _Out_ uint8_t *usage)')

const usageOf = who => {
  const usage = Buffer.alloc(RUSAGE_BYTES)
  if (getrusage(who, usage) !== 0) throw new Error('getrusage failed')
  const seconds = at => Number(usage.readBigInt64LE(at)) + Number(usage.readBigInt64LE(at + 8)) / 1e6
  return { cpuSeconds: seconds(0) + seconds(16), peakRssBytes: Number(usage.readBigInt64LE(32)) * 1024 }
}

const measureFunction = async ({ moduleUrl, name, parameter }) => {
  const module = await import(moduleUrl)
  await module[`${name}Prepare`]?.(parameter)
  const before = usageOf(RUSAGE_SELF)
  const start = performance.now()
  const result = await module[name](parameter)
  const wallSeconds = (performance.now() - start) / 1000
  const after = usageOf(RUSAGE_SELF)
  return { wallSeconds, cpuSeconds: after.cpuSeconds - before.cpuSeconds, peakRssBytes: after.peakRssBytes, result }
}

const measureProgram = ({ program, parameters }) => {
  const start = performance.now()
  const { status, error } = spawnSync(program, parameters, { stdio: ['ignore', 'ignore', 'inherit'] })
  const wallSeconds = (performance.now() - start) / 1000
  if (status !== 0) throw error ?? new Error(`${program} ended with ${status}`)
  return { wallSeconds, ...usageOf(RUSAGE_CHILDREN) }
}

const [, , kind, description] = process.argv
const measured = await { function: measureFunction, program: measureProgram }[kind](JSON.parse(description))
writeSync(3, JSON.stringify(measured))
