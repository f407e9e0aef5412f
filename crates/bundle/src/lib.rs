//! What a bundle is: layout, release statement, part table, ModelPack manifests, custody.
