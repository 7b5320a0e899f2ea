import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isGranaryError, memoryDisk } from '@granary/core'
import { seededRandom } from '@granary/testing'
import t from 'tap'
import { openHive } from '../src/registry/hive.ts'
import { makeHive, textValue } from './helpers/hive.ts'
import type { HiveKey, KeyList } from './helpers/hive.ts'

const long = new Uint8Array(9000).map((_, index) => index)
const tree: HiveKey = {
  keys: {
    MountedDevices: { values: { '\\DosDevices\\C:': { type: 3, data: Uint8Array.from([1, 2, 3, 4, 5, 6]) } } },
    Select: { values: { Current: { type: 4, data: Uint8Array.from([1, 0, 0, 0]) }, long: { type: 3, data: long } } },
    ControlSet001: {
      keys: { Control: { keys: { 'Windows NT': { values: { ProductName: textValue('Windows 10') } } } } },
    },
  },
}
const LISTS: readonly KeyList[] = ['lf', 'lh', 'li', 'ri']

t.test('keys are found by path in every form of list, upper or lower case', async t => {
  for (const list of LISTS) {
    const hive = await openHive(memoryDisk(makeHive(tree, list)))
    t.strictSame(
      (await hive.values(['MOUNTEDdevices']))?.map(({ name, type, data }) => [name, type, [...data]]),
      [['\\DosDevices\\C:', 3, [1, 2, 3, 4, 5, 6]]],
      list,
    )
    const select = await hive.values(['Select'])
    t.strictSame(
      select?.map(({ name, data }) => [name, data.length]),
      [
        ['Current', 4],
        ['long', 9000],
      ],
    )
    t.strictSame(Buffer.from(select?.[1]?.data ?? []), Buffer.from(long))
    t.equal((await hive.values(['ControlSet001', 'control', 'windows nt']))?.length, 1)
    t.equal(await hive.values(['Nothing']), undefined)
    t.equal(await hive.values(['Select', 'below']), undefined)
    t.strictSame(await hive.values(['ControlSet001']), [])
  }
})

const hasHivex = spawnSync('which', ['hivexget']).status === 0

t.test(
  'hivex reads the same in the hives of these tests',
  { skip: hasHivex ? false : 'the program hivexget is not here' },
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    for (const list of LISTS) {
      const path = join(folder, list)
      writeFileSync(path, makeHive(tree, list))
      const shown = execFileSync('hivexget', [path, '\\ControlSet001\\Control\\Windows NT', 'ProductName']).toString()
      t.equal(shown.trim(), 'Windows 10', list)
      t.match(execFileSync('hivexget', [path, '\\MountedDevices']).toString(), 'hex(3):01,02,03,04,05,06')
    }
  },
)

t.test('a damaged hive ends in an error that says so, or in what is still there', async t => {
  const good = makeHive(tree)
  const random = seededRandom(5)
  for (let round = 0; round < 2000; round++) {
    const bytes = good.slice(0, round % 5 === 0 ? random(good.length) : good.length)
    for (let count = random(6); count >= 0 && bytes.length > 0; count--) bytes[random(bytes.length)] = random(256)
    try {
      const hive = await openHive(memoryDisk(bytes))
      await hive.values(['ControlSet001', 'Control', 'Windows NT'])
      await hive.values(['MountedDevices'])
    } catch (error) {
      if (!isGranaryError(error)) t.fail(`round ${round}: ${String(error)}`)
    }
  }
  await t.rejects(openHive(memoryDisk(new Uint8Array(8192))), { code: 'GRANARY_CORRUPT' })
})
