// Runs every compiled test under tap, says of each failure what was found and where, and at the end which suites were left out
// on this machine and why. Arguments go on to tap: `npm test -- packages/core/dist/test/wasm.test.js`.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const MOST_LINES_OF_A_FIELD = 30
const MOST_CHARACTERS_OF_A_LINE = 300
/** Of what tap says of a failure: the place is in the stack as well, and all else is the same for every file. */
const NOT_SHOWN = new Set(['at', 'stdio', 'cwd', 'externalID', 'command', 'args', 'jobId'])

const tap = spawn('npx', ['tap', '--reporter=tap', ...process.argv.slice(2)], { stdio: ['ignore', 'pipe', 'inherit'] })
const counts = { passed: 0, failed: 0, skipped: 0 }
const leftOut = new Set()
const failures = []
/** The file, and the tests within it, that lines belong to. */
const path = []
/** The report that follows a failure, while it is read: of which test, as far right as `indent`, and where in it we are. */
let report

/** A test fails with its parts: they have been told. */
const hasFailedParts = (place, depth) => failures.some(failure => failure.slice(0, depth + 1).join() === place.join())

const readReport = line => {
  if (line === `${report.indent}...`) {
    report = undefined
    return
  }
  if (line === `${report.indent}---`) return
  const field = /^([a-zA-Z]+): ?(.*)/.exec(line.slice(report.indent.length))
  if (field) Object.assign(report, { field: field[1], lines: 0 })
  if (field?.[1] === 'expired') report.place.push(field[2]) // A file that hangs is named here only.
  if (report.isToldByParts || NOT_SHOWN.has(report.field) || report.lines > MOST_LINES_OF_A_FIELD) return
  report.lines++
  const isEnough = report.lines > MOST_LINES_OF_A_FIELD
  console.log(
    `    ${isEnough ? '…' : line.slice(report.indent.length, report.indent.length + MOST_CHARACTERS_OF_A_LINE)}`,
  )
}

const readResult = (isOk, indent, text) => {
  const depth = indent.length / 4
  const name = text.replace(/ # (time=|SKIP|TODO).*/, '')
  const place = [...path.slice(0, depth), name]
  const skip = /# SKIP\b ?(.*)$/.exec(text)
  if (skip) {
    counts.skipped++
    leftOut.add(`${path[0] ?? ''}: ${name} (${skip[1] || 'no reason given'})`)
  } else if (!isOk && !/# TODO\b/.test(text)) {
    const isToldByParts = hasFailedParts(place, depth)
    report = { place, indent: `${indent}  `, isToldByParts, field: '', lines: 0 }
    if (!isToldByParts) {
      counts.failed++
      failures.push(place)
      console.log(`FAILED ${place.join(' > ')}`)
    }
  } else if (depth === 1) counts.passed++
  if (depth === 0 && (isOk || report?.isToldByParts === true))
    console.log(`${isOk ? 'ok' : 'FAILED'} ${text.replace(/ # time=([\d.]+m?s).*/, ' ($1)')}`)
}

for await (const line of createInterface({ input: tap.stdout })) {
  const subtest = /^(\s*)# Subtest: (.+)$/.exec(line)
  const result = /^(\s*)(not )?ok \d+ - (.*)$/.exec(line)
  // Not every failure has a report; one that has begins on the next line.
  if (report?.field === '')
    report = line === `${report.indent}---` ? Object.assign(report, { field: '---' }) : undefined
  if (report !== undefined && line.startsWith(report.indent)) readReport(line)
  else if (subtest) path.splice(subtest[1].length / 4, Infinity, subtest[2])
  else if (result) readResult(result[2] === undefined, result[1], result[3])
}
const code = await new Promise(resolve => tap.on('close', resolve))
if (leftOut.size > 0)
  console.log(`\nLeft out here (${leftOut.size}):\n${[...leftOut].map(name => `  ${name}`).join('\n')}`)
else console.log('\nNo suite was left out.')
if (failures.length > 0)
  console.log(`\nFailed, as told above:\n${failures.map(place => `  ${place.join(' > ')}`).join('\n')}`)
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = code === 0 && counts.failed === 0 && counts.passed > 0 ? 0 : 1
