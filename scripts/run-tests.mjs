// Runs every compiled test under tap, then says which suites were left out on this machine and why.
// Arguments go on to tap: `npm test -- packages/core/dist/test/wasm.test.js`.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const tap = spawn('npx', ['tap', '--reporter=tap', ...process.argv.slice(2)], { stdio: ['ignore', 'pipe', 'inherit'] })
const counts = { passed: 0, failed: 0, skipped: 0 }
const leftOut = new Set()
let file = ''
for await (const line of createInterface({ input: tap.stdout })) {
  const subtest = /^# Subtest: (.+)$/.exec(line)
  if (subtest) file = subtest[1]
  const result = /^(\s*)(not )?ok \d+ - (.*)$/.exec(line)
  if (result === null) {
    if (/^\s+(message|found|wanted|at|error|code|stack|diff|-|\+)/.test(line) && counts.failed > 0) console.log(line)
    continue
  }
  const [, indent, isNotOk, text] = result
  const skip = /# SKIP\b ?(.*)$/.exec(text)
  if (skip) {
    counts.skipped++
    leftOut.add(`${file}: ${text.replace(/ # SKIP.*/, '')} (${skip[1] || 'no reason given'})`)
  } else if (isNotOk) {
    counts.failed++
    console.log(`FAILED ${file}: ${text}`)
  } else if (indent.length === 4) counts.passed++
  if (indent === '') console.log(`${isNotOk ? 'FAILED' : 'ok'} ${text.replace(/ # time=([\d.]+m?s).*/, ' ($1)')}`)
}
const code = await new Promise(resolve => tap.on('close', resolve))
if (leftOut.size > 0)
  console.log(`\nLeft out here (${leftOut.size}):\n${[...leftOut].map(name => `  ${name}`).join('\n')}`)
else console.log('\nNo suite was left out.')
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = code === 0 && counts.failed === 0 && counts.passed > 0 ? 0 : 1
