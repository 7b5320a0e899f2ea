// Compiles packages/PACKAGE/assembly/KERNEL.ts to packages/PACKAGE/src/KERNEL.wasm.ts (base64 in a module): no file to
// locate at run time, the same under node, workers and bundlers. With --check, fails when a committed file is stale.
//
// Every kernel imports one shared memory (see core/src/wasm.ts). Its constants live between its base, given here, and
// the next one's; the arena begins at 1 MiB. To add a kernel, add a row.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as asc from 'assemblyscript/asc'
import { kernels } from './kernels.mjs'

const checkOnly = process.argv.includes('--check')
const only = process.argv.slice(2).filter(word => !word.startsWith('--'))
const out = mkdtempSync(join(tmpdir(), 'granary-asc-'))
const stale = []
for (const { package: name, kernel, base } of kernels) {
  if (only.length > 0 && !only.includes(kernel)) continue
  const source = join('packages', name, 'assembly', `${kernel}.ts`)
  const wasm = join(out, `${kernel.replaceAll('/', '-')}.wasm`)
  const flags = ['--runtime', 'stub', '--noAssert', '-O3', '--enable', 'simd', '--enable', 'threads']
  const memory = [
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '17',
    '--maximumMemory',
    '65536',
    '--zeroFilledMemory',
  ]
  const { error, stderr } = await asc.main([source, '-o', wasm, ...flags, ...memory, '--memoryBase', String(base)])
  if (error) {
    console.error(stderr.toString())
    process.exit(1)
  }
  const base64 = readFileSync(wasm).toString('base64')
  const target = join('packages', name, 'src', `${kernel}.wasm.ts`)
  const text = `// Generated from assembly/${kernel}.ts by scripts/build-wasm.mjs. Do not edit.\nexport const wasmBase64: string =\n  '${base64}'\n`
  const isFresh = existsSync(target) && readFileSync(target, 'utf8') === text
  if (!isFresh && checkOnly) stale.push(target)
  if (!isFresh && !checkOnly) writeFileSync(target, text)
  console.log(`${target}: ${readFileSync(wasm).length} bytes of wasm`)
}
rmSync(out, { recursive: true })
for (const target of stale) console.error(`stale: ${target}; run npm run wasm and commit it`)
process.exitCode = stale.length === 0 ? 0 : 1
