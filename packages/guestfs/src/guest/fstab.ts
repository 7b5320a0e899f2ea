/** Reads /etc/fstab and /etc/crypttab. @see fstab(5), crypttab(5) @module */

export interface FstabRow {
  /** Such as `UUID=…`, `LABEL=…`, `/dev/mapper/vg-lv`, `/dev/sda1`. */
  readonly device: string
  /** An absolute path. */
  readonly point: string
  readonly type: string
  readonly options: readonly string[]
}

/** Blanks in a field are written as three octal digits. */
const unescaped = (field: string): string =>
  field.replaceAll(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

/** Types that are no disk of the guest's own. */
const NOT_ON_DISK = /^(swap|proc|sysfs|tmpfs|devpts|devtmpfs|cgroup2?|nfs4?|cifs|smb3|9p|virtiofs|overlay|fuse(\..*)?)$/

/** What is mounted at the start, in the order in which it must be: a directory before what is in it. */
export const parseFstab = (text: string): FstabRow[] =>
  text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split(/[ \t]+/).map(unescaped))
    .map(([device = '', point = '', type = '', options = '']) => ({ device, point, type, options: options.split(',') }))
    .filter(
      ({ point, type, options }) => point.startsWith('/') && !NOT_ON_DISK.test(type) && !options.includes('noauto'),
    )
    .map((row, index) => ({ row, index, depth: depthOf(row.point) }))
    .toSorted((a, b) => a.depth - b.depth || a.index - b.index)
    .map(({ row }) => row)

/** Devices of encrypted containers by the names that they have under `/dev/mapper` once they are open. */
export const parseCrypttab = (text: string): Map<string, string> =>
  new Map(
    text
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(line => line.split(/[ \t]+/).map(unescaped))
      .flatMap(([name, device]) => (name === undefined || device === undefined ? [] : [[name, device] as const])),
  )

const depthOf = (point: string): number => point.split('/').filter(name => name !== '').length
