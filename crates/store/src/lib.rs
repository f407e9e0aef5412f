//! Blobs by digest in an OCI image layout.
