//! Hashes that Django 5.2.19 made, with bcrypt 4.3.0 and argon2-cffi 25.1.0:
//! `hasher.encode(password, hasher.salt())`, and `check_password` took every one.

pub const ASCII: &str = "correct-horse-7";
pub const COMPOSED: &str = "caf\u{e9}-cr\u{e8}me-7";
pub const DECOMPOSED: &str = "cafe\u{301}-cre\u{300}me-7";
pub const SCRIPTS: &str = "密码 한국어 \u{1f98a} \u{fb01}n";
/// 128 characters, and as many bytes.
pub const LONG: &str = "correct-horse-7 correct-horse-7 correct-horse-7 correct-horse-7 \
                        correct-horse-7 correct-horse-7 correct-horse-7 correct-horse-7 ";
/// 128 characters of two bytes each.
pub const LONG_IN_BYTES: &str = concat!(
    "éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé",
    "éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé",
);

/// At Django's own costs.
pub const DEFAULTS: &[&str] = &[
    "pbkdf2_sha256$1000000$37wIObnJ2LSWK8KsMiPe2S$zzt9YDJgTX4saohLAuUDXSRSe3nFbstvGuWWDfiXdBQ=",
    "pbkdf2_sha1$1000000$uMvsmRr4c4HgTFBfC1Llso$Abr8+x4WgFrHed4E9AAJlAjPbwc=",
    "scrypt$16384$VJmZSUwCZLXe70Gjc4aEmE$8$5$LeLxE1fGqSP34p7VEltjk8vsEHtYP/X8rLa1I/iF6HWhX9myxaRMt1i1YPKLqTpGJENjQYdybecqOwV2S27+Mg==",
    "bcrypt_sha256$$2b$12$3yr7Wx/GIqqrYKNucc.hsey4LW.LvqLHBisw1jt2TOlBXjDyVaH0.",
    "bcrypt$$2b$12$wU3ZuFPf/Td5hVxOB4fpu.rFOvS.i7L40HulRae20C6o0ixHv.T6W",
    "argon2$argon2id$v=19$m=102400,t=2,p=8$NkRoMlpsMmpaeHljWmFjajExZDQycw$wE4AVVOLtzDMTzMwGmzLcQSPuU3lytzdnd2PRT9phRU",
];

/// At costs for tests.
pub const VECTORS: &[(&str, &[&str])] = &[
    (
        ASCII,
        &[
            "pbkdf2_sha256$1000$mPdjfKERuAu1WkDl9pg9cq$/HEOfDLnFQ1/f9y9b0idLzTinifSXuIgENk4DG+Th7U=",
            "pbkdf2_sha1$1000$KnSWwQSTIVwFlhtn1YwdCU$5yHwq1Ak64dJg1OIhbSSrZRmcCE=",
            "scrypt$1024$jhs0bAnfqmIG2oLISiaAKn$8$5$I1yBUVRSVDmYOwDHojKq2xh/W4o4iBMyMBAtk4/Qz6ReFxKtd0K1jaupS5hHj+e6o3BFQ6P9CRJRNvzvFOwzEg==",
            "bcrypt_sha256$$2b$04$z4StegxK.yLaOX1VLR3RfeQFTxIMcIcDW2n7FbIMjmRkIEbiG4Z5G",
            "bcrypt$$2b$04$aZXPN9ZbJwW4wLTucWcpU.6o2toF6PkjDb7j9UqSBWuGgKhen6IQK",
            "argon2$argon2id$v=19$m=256,t=2,p=2$S3U3YVRHdUQ1cW5TQ05zZDVxYVA2Vw$KQUUd+PZ20SUUp3zZyit4hviapTEUfocgAl3wYCbcx8",
            "argon2$argon2i$v=16$m=256,t=2,p=1$NFN0b29ZMnFUUG9qZVI4NEpoY3dnaA$CQ6rE1mzWlTClThEqNg5/SSWtyXHYjmzSnaP8TOQhQ0",
            "argon2$argon2i$v=19$m=256,t=2,p=1$OGdhQktCMWtlOTAxQlVJRkhMMk9odg$4HdBm7Njl5+1jIlOI6sPviJbnRVeugw0bm6gbi7X4kQ",
            "argon2$argon2d$v=16$m=256,t=2,p=1$QlUzTGdnaWZuT2VrYjVpbGdDdUJubQ$qqg53lhfMPbVyTSkq4M6d7pKN1kYgOYa/rKTSarPSdk",
            "argon2$argon2d$v=19$m=256,t=2,p=1$M2REeWZqWDFxWFdBN2pnY0oyaEJLSw$jAvcRHlE8KUmb5c8Dd/9sGjUxdhbLvedH5Jwl/HxchM",
            "bcrypt$$2a$04$SXX9zQWvjd2S4p/XRgZGnuqAsaCk3TaoOEYfJyUuk9JjFu6d5dL.y",
            "bcrypt$$2y$04$rxVq93072vwJVw.su8Lvr.KIxViE6xk13iVwodV8eKd2ND4QneAxq",
            "pbkdf2_sha256$1000$sält mit 零$tghcIeN0+fYJFw7SaYtD5Hbir5tmiQo7+tIOmwl07FA=",
            "scrypt$2$sält$1$1$d71ZSKGohMNCu3oByDQV+PS93/UZb90ZwB+MZrPX0frUu7mF2joqul8iNKMsBXSCeWsotlsP9BVa1yzqLHcfyw==",
        ],
    ),
    (
        COMPOSED,
        &[
            "pbkdf2_sha256$1000$CSUdUR5UfaDFdCps7lMDnP$FtU3HZoGuJOQBENT6YxLgJfGUW7ajSivVTk7Yf57QG0=",
            "pbkdf2_sha1$1000$H6JtaUhc62qR61xkTxu3Qh$b+v2weT0zr1hQ2Yu/V5mKV0HfQ4=",
            "scrypt$1024$5V7HETFY4BwDgFjM5XE7x5$8$5$SdwQqAzHcrLeJzWzsXnaNkpOfvOz0DDb0DJ48GdRbezycKIt6kq6J3o8zSLOgLRBK0Yu6eYUz7LBQ7Z9JdF9Nw==",
            "bcrypt_sha256$$2b$04$gWhk0NxjSZOqfvkZCuVkv.T5C.pMk6P/hbjsJywv9LtTYhpOqIpaa",
            "bcrypt$$2b$04$LWCG.pkKRKucR1my7h/f0OBwaYXEUSocEWssePKjrEsQpbjBd8yra",
            "argon2$argon2id$v=19$m=256,t=2,p=2$WHduRXJhSTFUSDZya3J0RXdHRTJtQQ$KB4eJKSPlVAwEvuzJZPEiPN2T5r+tgrytlk32umEMBI",
        ],
    ),
    (
        DECOMPOSED,
        &[
            "pbkdf2_sha256$1000$iSub8kbv37t0tud7aD0OBA$lUsieLt7bN1pmEBoz82GLWWghm2Z1atiR20K54YfTFI=",
            "pbkdf2_sha1$1000$YkUkDu31abtcqVrXpZwLWn$akCovihCrzLS6dqGFDTLpBz3KOg=",
            "scrypt$1024$gGb1Smlqe3nKxP326rbgLP$8$5$twY9Vcf+t7jIP9nRiQdbbGQmERUQaUSjN7ErSk0rbK4ACO0pGl5ZcOX9VE0e1sw+r5ZDqIHNZJ/iBMoE17wm5A==",
            "bcrypt_sha256$$2b$04$WnUYfTnt9E6aK6PE6B5IiOYM0geXebkwwvdd.5KkZJdN4jTswEH4i",
            "bcrypt$$2b$04$DqydwbwGZQ4jZSy93Tf2rOSWENuZnNuEv.gQ449SoscOAdCrR5LAu",
            "argon2$argon2id$v=19$m=256,t=2,p=2$Ykh4T0VsejhiSkVvdHhqVTFpOTZJNA$iwQQ02KTEsUlJg5DMYLGWdJZ1MV0qlQAC4n0YnOSAJ0",
        ],
    ),
    (
        SCRIPTS,
        &[
            "pbkdf2_sha256$1000$gcC3nvBH1ZNjR3Vy5HzgOo$a4c2v5bWIkn87+0p8tX6L5QAANncYRCgH1BjQovcmts=",
            "pbkdf2_sha1$1000$Vlrj61gWpzYKwfVouHxDaN$2eTSNaXndNizoUM6j/hhQq2UAxA=",
            "scrypt$1024$sQaaoNzhUGxOtB9RJakZxG$8$5$hyGugvVeDRBB6UKEuEqsdhGesToPgIeBNKQDDNZ5mqjKG2lVawSsci8Fxv2UyqcHaUTIa6sBUk4wKLfy954UIA==",
            "bcrypt_sha256$$2b$04$MK9jm5ERY.Fj/aXLxlwY1u700oJDptgkK5gGEq0AFZ2lahzi..SDa",
            "bcrypt$$2b$04$c1O7CHJUMZCJghhgEM9EGuZgxHzeLkX3UmLtcss07.ZYDiHLvQzni",
            "argon2$argon2id$v=19$m=256,t=2,p=2$WUFtR21uZW9zVjhHT2ZWRmFUOTFXMA$csbR7iHM7irvIAsF0acKP329o9chon/Ff9h7LeYNdJ8",
        ],
    ),
    (
        LONG,
        &[
            "pbkdf2_sha256$1000$aaErBZcTan7kQ87F3eEtUO$0bXDsJKN14MUe7RNwTJnTDy87Q1y/o9XJxCZg9L/YW8=",
            "pbkdf2_sha1$1000$f4acAKslZk7E5HV0TBYAHd$zbVCBh2HaNA1e2PsFGfyto35za0=",
            "scrypt$1024$rsJeyrAeFJPGa52BLrurH7$8$5$d17AqTQ5zHMgJag0Nvv5FUewEWQU2BXj0W+Eg1tnG7BP3ATA4MUsgbY4HsCS79MEseLaRi3/JF3S3wpyii1IXw==",
            "bcrypt_sha256$$2b$04$HrPE1YcVo7pHQoh7Zy.TOeCA3j9upNLQG4EHvBLy9Jx4vesOcbmAO",
            "bcrypt$$2b$04$DnTGKG3qIwC2ex4ELPTU8OgrZYe8QipK55ZNiPKSrbFXfUuzAugTG",
            "argon2$argon2id$v=19$m=256,t=2,p=2$SVRXc2h2R01qWnBiRlhjZ3hLRGRyWg$Qw2E2za+2i10HQ8keGbPD2yyy2pHOhuxhpy/tqspgWE",
        ],
    ),
    (
        LONG_IN_BYTES,
        &[
            "pbkdf2_sha256$1000$WQpwr8O98oNJhsYsOn3fG6$B+mVwYlo8GdNG94I9kgnbiVdVDoO2JoyRDbw3km1EVw=",
            "pbkdf2_sha1$1000$TJYqwno9nWeuHmuIBjyYSb$+3Cm18KxcWJOQSLAmclUtWVfxfM=",
            "scrypt$1024$aVr6aozhbUtY9mUN5xCaaw$8$5$6Z3kFX70Mv8JUWHUJeyVbr2FyGdOZ5ppXXSXUZHV145RKuPR289feNvEbYsZW+r2W+hMVQ6vxFuPSxlFjGAhBw==",
            "bcrypt_sha256$$2b$04$R2zgWDHeUEV.aF5fucWXduhIaIgmW3fw2GIDjhRYTxbUgH9a.sMDi",
            "bcrypt$$2b$04$vDSr4uwa9CtCZsOh9moCgujFr43E.DaPtMXEfQvzt/011mfMVXqXG",
            "argon2$argon2id$v=19$m=256,t=2,p=2$VVZ0ZGh4dVVRcUlyck52SWRhdWpuVA$O9Ry+Hz4vRuHDTmZThYm9qdjp9sIciIUP61tX4tRsiQ",
        ],
    ),
];
