//! The data of `make dev`: two labs, their people, and the doctors and products that they work with.
//!
//! The passwords are no secrets: the stand-in UMS protects nothing.

use crate::{
    linkshub::{Catalogue, Doctor, Product, Relation},
    ums::{Directory, Lab, Membership, User},
};

/// Riverside Dental Lab.
pub const RIVERSIDE: i64 = 123;
/// Northgate Dental Lab.
pub const NORTHGATE: i64 = 456;

/// A user of the stand-in UMS.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    /// The user id.
    pub id: i64,
    /// The name to log in with.
    pub username: &'static str,
    /// The password, in the clear.
    pub password: &'static str,
    /// The memberships: lab and role.
    pub memberships: &'static [(i64, &'static str)],
}

/// All users. `inactive` is deactivated; `sysadmin` is a system administrator.
pub const PEOPLE: [Person; 8] = [
    person(1, "admin", "admin123", &[(RIVERSIDE, "admin")]),
    person(2, "technician", "technician123", &[(RIVERSIDE, "technician")]),
    person(3, "member", "member123", &[(RIVERSIDE, "member")]),
    person(4, "viewer", "viewer123", &[(RIVERSIDE, "viewer")]),
    person(5, "northgate", "northgate123", &[(NORTHGATE, "member")]),
    person(6, "both", "both123", &[(RIVERSIDE, "member"), (NORTHGATE, "member")]),
    person(7, "inactive", "inactive123", &[(RIVERSIDE, "member")]),
    person(8, "sysadmin", "sysadmin123", &[]),
];

const fn person(
    id: i64,
    username: &'static str,
    password: &'static str,
    memberships: &'static [(i64, &'static str)],
) -> Person {
    Person { id, username, password, memberships }
}

/// What the stand-in UMS knows.
pub fn directory() -> Directory {
    let mut directory = Directory {
        labs: vec![
            Lab::new(RIVERSIDE, "RIVERSIDE", "Riverside Dental Lab"),
            Lab::new(NORTHGATE, "NORTHGATE", "Northgate Dental Lab"),
        ],
        ..Directory::default()
    };
    for Person { id, username, password, memberships } in PEOPLE {
        directory.users.push(User {
            is_active: username != "inactive",
            is_admin: username == "sysadmin",
            ..User::new(id, username, password)
        });
        let memberships = memberships.iter().map(|(lab, role)| Membership::new(id, *lab, role));
        directory.memberships.extend(memberships);
    }
    directory
}

/// What the stand-in LinksHub knows.
pub fn catalogue() -> Catalogue {
    let of_both_labs = ["DOC001", "doctor_123", "doctor_456", "doctor_654", "doctor_789"];
    let mut relations: Vec<Relation> = of_both_labs
        .iter()
        .flat_map(|doctor| [Relation::new(doctor, RIVERSIDE), Relation::new(doctor, NORTHGATE)])
        .collect();
    relations.push(Relation::new("doctor_north", NORTHGATE));
    Catalogue {
        doctors: vec![
            Doctor::new("DOC001", "Ada", "Brandt", "General Dentistry"),
            Doctor::new("doctor_123", "Ines", "Moreau", "Prosthodontics"),
            Doctor::new("doctor_456", "Tom", "Keller", "General Dentistry"),
            Doctor::new("doctor_654", "Lena", "Okafor", "Oral Surgery"),
            Doctor::new("doctor_789", "Paul", "Svensson", "Prosthodontics"),
            Doctor::new("doctor_north", "Nora", "Lindqvist", "Orthodontics"),
        ],
        products: vec![
            Product::new("PROD001", "Crown"),
            Product::new("crown_zirconia_001", "Zirconia crown"),
            Product::new("denture_complete_upper_001", "Complete upper denture"),
            Product::new("night_guard_dual_001", "Dual laminate night guard"),
            Product::new("implant_crown_001", "Implant crown"),
            Product { is_active: false, ..Product::new("crown_gold_001", "Gold crown") },
        ],
        relations,
    }
}
