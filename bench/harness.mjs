// Measures functions and programs in the same way, each in a process of its own, and prints one table for people
// (or JSON lines with --json) that compares them.
//
//   const bench = benchmark({ name: 'copy', unitBytes: 512 * MiB })
//   bench.add('granary', () => measureFunction(import.meta.url, 'copyGranary', { source, target }))
//   bench.add('cp', () => measureProgram('cp', ['--sparse=auto', source, target]))
//   await bench.run({ rounds: 3, reference: 'cp' })
//
// A measurement is { wallSeconds, cpuSeconds, peakRssBytes, result }. Rounds are interleaved, so that a busy machine
// hurts all alike, and the round with the least CPU time counts: noise only ever adds.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Runs a program to its end. @throws when it fails */
export const measureProgram = (program, parameters, { before } = {}) =>
  measureChild(['program', JSON.stringify({ program, parameters })], before)

/**
 * Calls an exported function of a module in a fresh process, after an untimed call of `prepare`, when the module has one by
 * the name `${name}Prepare`. `parameter` and result must survive JSON.
 */
export const measureFunction = (moduleUrl, name, parameter, { before, nodeFlags = [] } = {}) =>
  measureChild(['function', JSON.stringify({ moduleUrl, name, parameter })], before, nodeFlags)

/** True when a program of this name can be started. */
export const hasProgram = program =>
  new Promise(resolve => {
    const child = spawn('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' })
    child.on('close', code => resolve(code === 0))
  })

/** Rows that are measured side by side. `unitBytes` is what rates are about, when given. */
export const benchmark = ({ name, unitBytes }) => {
  const rows = []
  return {
    /** @param measure gives a measurement; rows may do their own set-up before they call one of the functions above */
    add: (label, measure) => void rows.push({ label, measure, best: undefined }),
    /** Measures all rows, prints them, and gives them back. @param reference the label of the row that ratios are against */
    async run({ rounds = 3, reference, columns = [] } = {}) {
      for (let round = 0; round < rounds; round++) {
        for (const row of rows) {
          const found = await row.measure()
          if (row.best === undefined || found.cpuSeconds < row.best.cpuSeconds) row.best = found
        }
      }
      const against = rows.find(({ label }) => label === reference)?.best
      const results = rows.map(({ label, best }) => ({
        bench: name,
        label,
        ...best,
        ...(unitBytes === undefined ? {} : { unitBytes, bytesPerCpuSecond: Math.round(unitBytes / best.cpuSeconds) }),
        ...(against === undefined
          ? {}
          : {
              reference,
              cpuRatio: round3(best.cpuSeconds / against.cpuSeconds),
              wallRatio: round3(best.wallSeconds / against.wallSeconds),
            }),
      }))
      print(name, results, columns)
      return results
    },
  }
}

const round3 = number => Math.round(number * 1000) / 1000

/** Prints results as a table, or one JSON object a line with --json. `columns` are names of fields of `result` to show. */
const print = (name, results, columns) => {
  if (process.argv.includes('--json')) {
    for (const row of results) console.log(JSON.stringify(row))
    return
  }
  const head = [name, 'CPU s', 'wall s', 'RSS MiB', 'GB/s CPU', 'CPU ratio', 'wall ratio', ...columns]
  const body = results.map(row => [
    row.label,
    row.cpuSeconds.toFixed(3),
    row.wallSeconds.toFixed(3),
    (row.peakRssBytes / 2 ** 20).toFixed(0),
    row.bytesPerCpuSecond === undefined ? '' : (row.bytesPerCpuSecond / 1e9).toFixed(2),
    row.cpuRatio === undefined ? '' : row.cpuRatio.toFixed(2),
    row.wallRatio === undefined ? '' : row.wallRatio.toFixed(2),
    ...columns.map(column => String(row.result?.[column] ?? '')),
  ])
  const widths = head.map((title, i) => Math.max(title.length, ...body.map(cells => cells[i].length)))
  for (const cells of [head, ...body]) {
    console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
  }
  console.log()
}

const RUNNER = fileURLToPath(new URL('./harness-child.mjs', import.meta.url))

/** The runner measures itself (a function) or its one child (a program) and reports on descriptor 3. */
const measureChild = async (parameters, before, nodeFlags = []) => {
  await before?.()
  const child = spawn(process.execPath, [...nodeFlags, RUNNER, ...parameters], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  })
  let report = ''
  child.stdio[3].setEncoding('utf8').on('data', text => (report += text))
  const code = await new Promise(resolve => child.on('close', resolve))
  if (code !== 0) throw new Error(`measuring ${parameters.join(' ')} failed with exit code ${code}`)
  return JSON.parse(report)
}
