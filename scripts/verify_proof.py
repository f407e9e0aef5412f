"""Verifies a proof of the ledger without Hermetic: nothing but Python's standard library, written from the documents.

    python3 verify_proof.py PROOF VERIFIER_KEY_FILE

Prints the record and exits 0 when it is in the log that key signs for. The formats are C2SP tlog-proof, tlog-checkpoint
and signed-note; the tree is that of RFC 6962 §2.1; the signature is Ed25519, RFC 8032 §5.1.7.
"""

import base64
import hashlib
import sys

# -- Ed25519 verification, RFC 8032 §5.1; slow and plain ---------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P


def recover_x(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    return P - x if x & 1 != sign else x


def point(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        raise ValueError("not a point of the curve")
    x = recover_x(y, sign)
    return x, y, 1, x * y % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, p):
    q = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            q = add(q, p)
        p, scalar = add(p, p), scalar >> 1
    return q


def signature_is_valid(public, message, signature):
    key, r = point(public), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = multiply(s, (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)), add(r, multiply(h, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# -- the documents ----------------------------------------------------------------------------------------------------

def decode(text):
    return base64.b64decode(text, validate=True)


def read_key(vkey):
    """`name+keyid+base64(type, key)`, C2SP signed-note."""
    name, key_id, rest = vkey.strip().split("+", 2)
    key = decode(rest)
    if len(key) != 33 or key[0] != 1:
        raise ValueError("expected an Ed25519 verifier key")
    if hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() != key_id:
        raise ValueError("the key id does not belong to this name and key")
    return name, bytes.fromhex(key_id), key[1:]


def read_checkpoint(note, key):
    """Size and root of a checkpoint that carries a valid signature by `key`."""
    name, key_id, public = key
    text, signatures = note.rsplit("\n\n", 1)
    message = text.encode() + b"\n"
    for line in signatures.splitlines():
        dash, signer, blob = line.split(" ", 2)
        blob = decode(blob)
        if dash == "\u2014" and signer == name and blob[:4] == key_id and signature_is_valid(public, message, blob[4:]):
            origin, size, root = text.split("\n")[:3]
            if origin != name:
                raise ValueError(f"the checkpoint is of another log: {origin}")
            return int(size), decode(root)
    raise ValueError(f"no valid signature by {name}")


def root_of(record, index, size, path):
    """RFC 9162 §2.1.3.2, from a leaf up to the root."""
    if index >= size:
        raise ValueError("the index lies beyond the tree")
    fn, sn = index, size - 1
    node = hashlib.sha256(b"\x00" + record).digest()
    for sibling in path:
        if sn == 0:
            raise ValueError("the path is too long")
        if fn & 1 or fn == sn:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise ValueError("the path is too short")
    return node


def verify(proof, vkey):
    head, checkpoint = proof.split("\n\n", 1)
    magic, extra, index, *path = head.split("\n")
    if magic != "c2sp.org/tlog-proof@v1" or not extra.startswith("extra ") or not index.startswith("index "):
        raise ValueError("expected a C2SP tlog-proof that carries its record")
    record = decode(extra[6:])
    size, root = read_checkpoint(checkpoint, read_key(vkey))
    if root_of(record, int(index[6:]), size, [decode(line) for line in path]) != root:
        raise ValueError("record and path do not lead to the signed root")
    return record


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        with open(sys.argv[1], encoding="utf-8", newline="") as proof, open(sys.argv[2], encoding="utf-8") as key:
            print(verify(proof.read(), key.read()).decode())
    except (ValueError, IndexError, OSError) as error:
        sys.exit(f"not proved: {error}")
