;; The two products of matrices that all networks of the page are made of, four float32 at a time.
;; Weights lie in groups of four rows, (quads, K, 4); what they meet in panels of eight columns, (panels, K, 8).
(module
  (import "env" "memory" (memory 1))

  ;; c (rows of `stride` bytes) = weights (quads * 4, K) x panels (K, panels * 8). Addresses and strides are in bytes.
  (func (export "gemm") (param $a i32) (param $b i32) (param $c i32)
    (param $quads i32) (param $k i32) (param $panels i32) (param $stride i32)
    (local $panel i32) (local $quad i32) (local $left i32) (local $pa i32) (local $pb i32) (local $pc i32)
    (local $b0 v128) (local $b1 v128) (local $s v128)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (loop $panels_loop
      (local.set $pa (local.get $a))
      (local.set $pc (i32.add (local.get $c) (i32.shl (local.get $panel) (i32.const 5))))
      (local.set $quad (local.get $quads))
      (loop $quads_loop
        (local.set $pb (local.get $b))
        (local.set $left (local.get $k))
        (local.set $c00 (v128.const i32x4 0 0 0 0)) (local.set $c01 (v128.const i32x4 0 0 0 0))
        (local.set $c10 (v128.const i32x4 0 0 0 0)) (local.set $c11 (v128.const i32x4 0 0 0 0))
        (local.set $c20 (v128.const i32x4 0 0 0 0)) (local.set $c21 (v128.const i32x4 0 0 0 0))
        (local.set $c30 (v128.const i32x4 0 0 0 0)) (local.set $c31 (v128.const i32x4 0 0 0 0))
        (loop $k_loop
          (local.set $b0 (v128.load (local.get $pb)))
          (local.set $b1 (v128.load offset=16 (local.get $pb)))
          (local.set $s (v128.load32_splat (local.get $pa)))
          (local.set $c00 (f32x4.add (local.get $c00) (f32x4.mul (local.get $s) (local.get $b0))))
          (local.set $c01 (f32x4.add (local.get $c01) (f32x4.mul (local.get $s) (local.get $b1))))
          (local.set $s (v128.load32_splat offset=4 (local.get $pa)))
          (local.set $c10 (f32x4.add (local.get $c10) (f32x4.mul (local.get $s) (local.get $b0))))
          (local.set $c11 (f32x4.add (local.get $c11) (f32x4.mul (local.get $s) (local.get $b1))))
          (local.set $s (v128.load32_splat offset=8 (local.get $pa)))
          (local.set $c20 (f32x4.add (local.get $c20) (f32x4.mul (local.get $s) (local.get $b0))))
          (local.set $c21 (f32x4.add (local.get $c21) (f32x4.mul (local.get $s) (local.get $b1))))
          (local.set $s (v128.load32_splat offset=12 (local.get $pa)))
          (local.set $c30 (f32x4.add (local.get $c30) (f32x4.mul (local.get $s) (local.get $b0))))
          (local.set $c31 (f32x4.add (local.get $c31) (f32x4.mul (local.get $s) (local.get $b1))))
          (local.set $pa (i32.add (local.get $pa) (i32.const 16)))
          (local.set $pb (i32.add (local.get $pb) (i32.const 32)))
          (br_if $k_loop (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (v128.store (local.get $pc) (local.get $c00))
        (v128.store offset=16 (local.get $pc) (local.get $c01))
        (local.set $pc (i32.add (local.get $pc) (local.get $stride)))
        (v128.store (local.get $pc) (local.get $c10))
        (v128.store offset=16 (local.get $pc) (local.get $c11))
        (local.set $pc (i32.add (local.get $pc) (local.get $stride)))
        (v128.store (local.get $pc) (local.get $c20))
        (v128.store offset=16 (local.get $pc) (local.get $c21))
        (local.set $pc (i32.add (local.get $pc) (local.get $stride)))
        (v128.store (local.get $pc) (local.get $c30))
        (v128.store offset=16 (local.get $pc) (local.get $c31))
        (local.set $pc (i32.add (local.get $pc) (local.get $stride)))
        (br_if $quads_loop (local.tee $quad (i32.sub (local.get $quad) (i32.const 1)))))
      (local.set $b (local.get $pb))
      (br_if $panels_loop
        (i32.lt_u (local.tee $panel (i32.add (local.get $panel) (i32.const 1))) (local.get $panels)))))

  ;; c (quads * 4) = weights (quads * 4, K) x vector (K).
  (func (export "gemv") (param $a i32) (param $x i32) (param $c i32) (param $quads i32) (param $k i32)
    (local $left i32) (local $px i32) (local $sum v128)
    (loop $quads_loop
      (local.set $px (local.get $x))
      (local.set $left (local.get $k))
      (local.set $sum (v128.const i32x4 0 0 0 0))
      (loop $k_loop
        (local.set $sum (f32x4.add (local.get $sum)
          (f32x4.mul (v128.load (local.get $a)) (v128.load32_splat (local.get $px)))))
        (local.set $a (i32.add (local.get $a) (i32.const 16)))
        (local.set $px (i32.add (local.get $px) (i32.const 4)))
        (br_if $k_loop (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (v128.store (local.get $c) (local.get $sum))
      (local.set $c (i32.add (local.get $c) (i32.const 16)))
      (br_if $quads_loop (local.tee $quads (i32.sub (local.get $quads) (i32.const 1))))))

  ;; Panels (panels, maps * taps, 8) of what convolutions read of maps of `size` bytes each. The table `reads` has `wide`
  ;; bytes for each tap: the place, counted in numbers, that each column reads, -1 outside of the map.
  (func (export "gather") (param $x i32) (param $to i32) (param $reads i32) (param $maps i32) (param $size i32)
    (param $taps i32) (param $wide i32) (param $panels i32)
    (local $base i32) (local $map i32) (local $tap i32) (local $at i32) (local $left i32) (local $read i32)
    (loop $panels_loop
      (local.set $base (local.get $x))
      (local.set $map (local.get $maps))
      (loop $maps_loop
        (local.set $at (local.get $reads))
        (local.set $tap (local.get $taps))
        (loop $taps_loop
          (local.set $left (i32.const 8))
          (loop $columns_loop
            (local.set $read (i32.load (local.get $at)))
            (f32.store (local.get $to)
              (select
                (f32.load (i32.add (local.get $base)
                  (i32.shl (i32.and (local.get $read) (i32.xor (i32.shr_s (local.get $read) (i32.const 31)) (i32.const -1)))
                    (i32.const 2))))
                (f32.const 0)
                (i32.ge_s (local.get $read) (i32.const 0))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (local.set $to (i32.add (local.get $to) (i32.const 4)))
            (br_if $columns_loop (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (local.set $at (i32.add (local.get $at) (i32.sub (local.get $wide) (i32.const 32))))
          (br_if $taps_loop (local.tee $tap (i32.sub (local.get $tap) (i32.const 1)))))
        (local.set $base (i32.add (local.get $base) (local.get $size)))
        (br_if $maps_loop (local.tee $map (i32.sub (local.get $map) (i32.const 1)))))
      (local.set $reads (i32.add (local.get $reads) (i32.const 32)))
      (br_if $panels_loop (local.tee $panels (i32.sub (local.get $panels) (i32.const 1)))))))
