import { pathToFileURL } from 'node:url'
import t from 'tap'
import { Arena } from '@granary/core'
import { projectPath } from '@granary/testing'
import { blockCiphers } from '../../src/index.ts'

interface KernelRow {
  readonly kernel: string
  readonly base: number
}

t.test('the constant tables of every kernel lie in its own part of memory', async t => {
  const url = pathToFileURL(projectPath('scripts', 'kernels.mjs')).href
  const { kernels } = (await import(url)) as { kernels: readonly KernelRow[] }
  const arena = new Arena(1)
  for (const { name, instantiate, tables } of blockCiphers) {
    const index = kernels.findIndex(({ kernel }) => kernel === `ciphers/${name}`)
    const { base } = kernels[index] as KernelRow
    const end = kernels[index + 1]?.base ?? 1024 * 1024
    const pointer = instantiate(arena).tables()
    const length = tables?.().length ?? 0
    if (length > 0)
      t.ok(pointer >= base && pointer + length <= end, `${name}: ${pointer}+${length} in ${base} to ${end}`)
    else t.equal(pointer, 0, `${name} has no tables`)
  }
})
