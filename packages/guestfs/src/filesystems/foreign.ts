/** What is recognised and named, and not read: one row each. @see libblkid's superblocks @module */
import type { Detector, Found } from '../detect.ts'

interface Signature {
  readonly content: string
  /** Bytes from the start, or from the end when negative. */
  readonly offset: number
  /** Hex. */
  readonly magic: string
  readonly reason: 'encrypted' | 'unsupported'
  readonly message: string
}

const ascii = (text: string): string => Buffer.from(text, 'latin1').toString('hex')
const fs = (content: string, offset: number, magic: string, message: string): Signature => ({
  content,
  offset,
  magic,
  reason: 'unsupported',
  message,
})

/** Those that stand in the first sector, and so before any partition table. */
const FIRST_SECTOR: readonly Signature[] = [
  { content: 'BitLocker', offset: 3, magic: ascii('-FVE-FS-'), reason: 'encrypted', message: 'encrypted by BitLocker' },
  {
    content: 'BitLocker',
    offset: 424,
    magic: '3bd67649292ed84a8399f6a339e3d001',
    reason: 'encrypted',
    message: 'encrypted by BitLocker To Go',
  },
  fs('ReFS', 3, ascii('ReFS\0\0\0\0'), 'ReFS'),
  fs('apfs', 32, ascii('NXSB'), 'APFS'),
  fs('vdo', 0, ascii('dmvdo001'), 'a VDO volume (deduplicated and compressed by the guest)'),
  fs('squashfs', 0, ascii('hsqs'), 'squashfs'),
]

/** Those further in, where a partition table would come first. */
const FURTHER_IN: readonly Signature[] = [
  fs('bcache', 4120, 'c68573f64e1a45ca8265f57f48ba6d81', 'a bcache device'),
  fs('bcachefs', 4120, 'c68573f666ce90a9d96a60cf803df7ef', 'bcachefs'),
  fs('hfsplus', 1024, ascii('H+'), 'HFS+'),
  fs('hfsplus', 1024, ascii('HX'), 'HFSX'),
  fs('f2fs', 1024, '1020f5f2', 'F2FS'),
  fs('erofs', 1024, 'e2e1f5e0', 'EROFS'),
  fs('nilfs2', 1030, '3434', 'NILFS2'),
  fs('reiserfs', 65_588, ascii('ReIsEr'), 'ReiserFS'),
  fs('jfs', 32_768, ascii('JFS1'), 'JFS'),
  fs('ufs', 9564, '54190100', 'UFS1'),
  fs('ufs', 66_908, '19015419', 'UFS2'),
  fs('LDM_member', 3072, ascii('PRIVHEAD'), 'a dynamic disk of Windows (LDM)'),
  fs('LDM_member', -512, ascii('PRIVHEAD'), 'a dynamic disk of Windows (LDM)'),
  fs('iso9660', 32_769, ascii('CD001'), 'a CD image (ISO 9660)'),
  fs('udf', 32_769, ascii('BEA01'), 'UDF'),
]

/** ZFS keeps uberblocks in the second half of its labels, 1 KiB or more apart, in the byte order of their writer. */
const ZFS_UBERBLOCKS = { offset: 131_072, length: 131_072, step: 1024 }
const ZFS_MAGICS = ['0cb1ba0000000000', '0000000000bab10c']

const named = ({ content, reason, message }: Signature): Found => ({
  kind: 'named',
  content,
  whyNot: { reason, message: reason === 'encrypted' ? message : `${message}: not read by this version` },
})

const detectorOf = (name: string, signatures: readonly Signature[]): Detector => ({
  name,
  async detect({ peek }) {
    for (const signature of signatures) {
      const bytes = await peek(signature.offset, signature.magic.length / 2)
      if (bytes !== undefined && Buffer.from(bytes).toString('hex') === signature.magic) return named(signature)
    }
    return undefined
  },
})

export const foreignFirstSector = detectorOf('foreign, first sector', FIRST_SECTOR)
export const foreignFurtherIn = detectorOf('foreign, further in', FURTHER_IN)

export const zfs: Detector = {
  name: 'zfs',
  async detect({ peek }) {
    const { offset, length, step } = ZFS_UBERBLOCKS
    const bytes = await peek(offset, length)
    for (let at = 0; bytes !== undefined && at < length; at += step) {
      if (ZFS_MAGICS.includes(Buffer.from(bytes.subarray(at, at + 8)).toString('hex')))
        return named(fs('zfs_member', 0, '', 'a ZFS pool'))
    }
    return undefined
  },
}
