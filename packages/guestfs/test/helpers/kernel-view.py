"""Fills a directory with random files of all kinds, and tells what the kernel shows of a directory.

Usage: kernel-view.py fill DIR SEED FILES MAX_BYTES [plain]
       kernel-view.py show DIR
       kernel-view.py fill-and-show DIR SEED FILES MAX_BYTES KIND SCRIPT [ARGUMENT...]
`plain` leaves out what FAT can't keep. `show` prints entries in the form of the manifests of ../shared/guestfs.
`fill-and-show` runs a script of the shell in between, which mounts the directory anew: a second start of Python costs more.
"""
import base64, errno, hashlib, json, os, random, stat, struct, sys

WHOLE_BYTES = 64 << 20


def name(rng, kind):
    # mtools cuts characters beyond U+FFFF short, writes № as N, and asks before a name such as "_" replaces a short one.
    letters = rng.choice(['abcdefghij .+-' if kind == 'plain' else 'abcdefghij ._-', 'абвгдежзик', 'файлЁ x', '日本語é' if kind == 'plain' else '日本語🙂№e\u0301'])
    text = ''.join(rng.choice(letters) for _ in range(rng.choice([1, 3, 8, 12, 13, 26, 60]))).strip('. ') or 'x'
    raw = text.encode()
    if kind != 'plain' and rng.random() < 0.1:
        raw = bytes(rng.choice(list(range(1, 47)) + list(range(48, 256))) for _ in range(rng.choice([3, 20, 255])))
    return raw[:255].decode('utf-8', 'ignore').encode() if kind == 'plain' else raw[:255]


def content(rng, size):
    return rng.randbytes(size) if rng.random() < 0.5 else (b'%d ' % rng.randrange(1000)) * (size // 4 + 1)


def write(rng, path, max_bytes, kind):
    size = rng.choice([0, 1, 59, 60, 61, 150, 511, 512, 4095, 4096, 4097, rng.randrange(max_bytes), max_bytes])
    with open(path, 'wb') as file:
        file.write(content(rng, size)[:size])
        if kind == 'plain':
            return
        shape = rng.random()
        if shape < 0.15:
            for _ in range(rng.randrange(1, 40)):
                file.seek(rng.randrange(max_bytes * 100))
                file.write(content(rng, rng.randrange(1, 9000)))
        elif shape < 0.2:
            file.seek(rng.choice([1 << 24, 5 << 30]))
            file.write(b'far')
        elif shape < 0.3:
            os.posix_fallocate(file.fileno(), size, rng.randrange(1, max_bytes))
        elif shape < 0.35:
            file.truncate(rng.randrange(size + 5000))


ACL = struct.pack('<IHHIHHIHHIHHIHHI', 2, 1, 6, 0xffffffff, 2, 4, 1001, 4, 4, 0xffffffff, 16, 7, 0xffffffff, 32, 0, 0xffffffff)


def decorate(rng, path):
    os.chown(path, rng.choice([0, 1000, 70000, 4000000000]), rng.choice([0, 100, 100000]), follow_symlinks=False)
    if not os.path.islink(path):
        os.chmod(path, rng.choice([0o644, 0o600, 0o4755, 0o1777, 0o2750, 0o000]))
    for key, size in (('user.k\u0438', 20), ('user.big', rng.choice([300, 900])), ('trusted.t', 0), ('security.s', 40)):
        if rng.random() < 0.1 and not (key.startswith('user.') and not (os.path.isfile(path) or os.path.isdir(path)) or os.path.islink(path)):
            os.setxattr(path, key, rng.randbytes(size), follow_symlinks=False)
    if rng.random() < 0.05 and os.path.isfile(path) and not os.path.islink(path):
        os.setxattr(path, 'system.posix_acl_access', ACL)


def make(rng, dirs, files, max_bytes, kind):
    path = os.path.join(rng.choice(dirs), name(rng, kind))
    taken = {entry.lower() for entry in os.listdir(os.path.dirname(path))}
    if os.path.basename(path).lower() in taken or len(path) > 3000:
        return
    what = rng.random()
    if what < 0.15:
        os.mkdir(path)
        dirs.append(path)
    elif kind == 'plain' or what < 0.75:
        write(rng, path, max_bytes, kind)
        files.append(path)
    elif what < 0.85:
        os.symlink(b'x' * rng.choice([1, 59, 60, 61, 300, 1000]), path)
    elif what < 0.9 and files:
        os.link(rng.choice(files), path)
    elif what < 0.95:
        os.mkfifo(path)
    else:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(rng.choice([1, 300]), rng.choice([3, 70000])))
    if kind != 'plain':
        decorate(rng, path)
    if not os.path.islink(path):
        os.utime(path, ns=(0, rng.randrange(315532800, 4000000000) * 10**9 + rng.randrange(10**9)))


def fill(root, seed, count, max_bytes, kind='unix'):
    rng = random.Random(seed)
    dirs, files = [root], []
    for index in range(count):
        make(rng, dirs, files, max_bytes, kind)
        if kind != 'plain' and files and rng.random() < 0.1:
            os.unlink(files.pop(rng.randrange(len(files))))
    if kind != 'plain' and rng.random() < 0.5:
        many = os.path.join(root, b'many')
        os.mkdir(many)
        for index in range(rng.choice([100, 700, 3000] if count > 100 else [100, 300])):
            with open(os.path.join(many, b'file %06d' % index), 'wb') as file:
                file.write(b'%d' % index if index % 7 == 0 else b'')


def ranges(file, size):
    found, at = [], 0
    while at < size:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(file, start, os.SEEK_HOLE)
        found.append([start, at - start])
    return found


data_ranges = {}


def entry(root, path):
    info = os.lstat(path)
    types = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'symlink', stat.S_IFCHR: 'chr', stat.S_IFBLK: 'blk', stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'socket'}
    relative = b'/' + os.path.relpath(path, root) if path != root else b'/'
    row = {'path': relative.decode('utf-8', 'replace'), 'path_hex': relative.hex(), 'type': types[stat.S_IFMT(info.st_mode)], 'ino': info.st_ino,
           'mode': '%04o' % stat.S_IMODE(info.st_mode), 'uid': info.st_uid, 'gid': info.st_gid, 'nlink': info.st_nlink,
           'mtime': str(info.st_mtime_ns), 'ctime': str(info.st_ctime_ns), 'blocks512': info.st_blocks}
    if row['type'] in ('file', 'symlink'):
        row['size'] = info.st_size
    if row['type'] in ('chr', 'blk'):
        row['rdev'] = [os.major(info.st_rdev), os.minor(info.st_rdev)]
    if row['type'] == 'symlink':
        row['target'] = os.readlink(path).decode()
    if row['type'] == 'file':
        with open(path, 'rb') as file:
            # Asked once, before reading: what is in the page cache then counts as data, also by another name.
            if (info.st_dev, info.st_ino) not in data_ranges:
                data_ranges[info.st_dev, info.st_ino] = ranges(file.fileno(), info.st_size)
            row['data_ranges'] = data_ranges[info.st_dev, info.st_ino]
            row['data_range_count'] = len(row['data_ranges'])
            file.seek(0)
            if info.st_size <= WHOLE_BYTES:
                row['sha256'] = hashlib.sha256(file.read()).hexdigest()
            else:
                row['range_sha256'] = []
                for start, length in row['data_ranges']:
                    file.seek(start)
                    row['range_sha256'].append([start, length, hashlib.sha256(file.read(length)).hexdigest()])
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        names = []
    if names:
        row['xattrs'] = {key: {'b64': base64.b64encode(os.getxattr(path, key, follow_symlinks=False)).decode()} for key in names}
    return row


def show(root):
    entries = [entry(root, root)]
    for folder, dirs, files in os.walk(root):
        entries += [entry(root, os.path.join(folder, each)) for each in dirs + files]
    print(json.dumps(entries))


if __name__ == '__main__':
    root = sys.argv[2].encode()
    if sys.argv[1] == 'fill':
        fill(root, int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), *sys.argv[6:])
    elif sys.argv[1] == 'fill-and-show':
        fill(root, int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
        if os.spawnvp(os.P_WAIT, 'sh', ['sh', '-e', '-c', sys.argv[7], 'sh', *sys.argv[8:]]) != 0:
            sys.exit('the script between fill and show failed')
        show(root)
    else:
        show(root)
