//! What restorations are made of. The figures are typical ones; the maker's data sheet decides.

use serde::Serialize;

/// A material and what it is good for.
#[derive(Serialize)]
pub struct Material {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// In words, with the figures of its flexural or yield strength.
    pub strength: &'static str,
    /// The work that it suits.
    pub applications: &'static [&'static str],
    /// In millimetres.
    pub typical_thickness: &'static str,
}

entries! {
    /// What a fixed restoration is made of.
    FixedProstheticMaterial: Material {
        PorcelainFusedMetal = "porcelain_fused_metal" => Material {
            name: "Porcelain fused to metal",
            description: "Tooth-coloured porcelain fired onto a cast metal coping.",
            strength: "High (the metal carries; the veneering porcelain 60-110 MPa flexural)",
            applications: &["Posterior crowns", "Long-span bridges", "Implant crowns"],
            typical_thickness: "0.3-0.5 mm coping and 1.0-1.5 mm porcelain",
        },
        AllCeramic = "all_ceramic" => Material {
            name: "All-ceramic",
            description: "Leucite-reinforced or feldspathic glass ceramic without metal.",
            strength: "Moderate (100-160 MPa flexural)",
            applications: &["Anterior crowns", "Veneers", "Inlays", "Onlays"],
            typical_thickness: "1.0-1.5 mm",
        },
        Zirconia = "zirconia" => Material {
            name: "Zirconia",
            description: "Yttria-stabilised zirconium dioxide, milled and sintered, monolithic or layered.",
            strength: "Very high (900-1200 MPa flexural; highly translucent grades 500-700 MPa)",
            applications: &["Posterior crowns", "Bridges", "Implant crowns"],
            typical_thickness: "0.5-1.0 mm",
        },
        Emax = "emax" => Material {
            name: "IPS e.max",
            description: "Lithium disilicate glass ceramic, pressed or milled; bonded or cemented.",
            strength: "High (360-530 MPa flexural)",
            applications: &[
                "Crowns", "Veneers", "Inlays", "Onlays", "Bridges of three units up to the second premolar",
            ],
            typical_thickness: "0.3-0.5 mm for veneers, 1.0-1.5 mm for crowns",
        },
        Gold = "gold" => Material {
            name: "Gold alloy",
            description: "Cast high-gold alloy; gentle to the opposing teeth and kind to thin margins.",
            strength: "High and ductile (yield strength 200-350 MPa)",
            applications: &["Posterior crowns", "Inlays", "Onlays"],
            typical_thickness: "0.5-1.0 mm axially, 1.0-1.5 mm on chewing surfaces",
        },
        Composite = "composite" => Material {
            name: "Laboratory composite",
            description: "Resin with glass or ceramic filler, cured by light and heat; easy to repair.",
            strength: "Moderate (100-160 MPa flexural)",
            applications: &["Inlays", "Onlays", "Veneers", "Long-term provisionals"],
            typical_thickness: "1.5-2.0 mm",
        },
        PfmHighNoble = "pfm_high_noble" => Material {
            name: "Porcelain fused to high noble metal",
            description: "Coping of at least 60 % noble metals, of these at least 40 % gold; biocompatible, \
                          bonds well to porcelain.",
            strength: "High (yield strength of the alloy 400-550 MPa)",
            applications: &["Crowns", "Short and medium bridges", "Patients with metal sensitivity"],
            typical_thickness: "0.3-0.5 mm coping and 1.0-1.5 mm porcelain",
        },
        PfmNoble = "pfm_noble" => Material {
            name: "Porcelain fused to noble metal",
            description: "Coping of at least 25 % noble metals, mostly palladium.",
            strength: "High (yield strength of the alloy 450-650 MPa)",
            applications: &["Crowns", "Bridges"],
            typical_thickness: "0.3-0.5 mm coping and 1.0-1.5 mm porcelain",
        },
        PfmBase = "pfm_base" => Material {
            name: "Porcelain fused to base metal",
            description: "Coping of cobalt-chromium or nickel-chromium with less than 25 % noble metals; not \
                          with nickel in case of an allergy.",
            strength: "Very high and stiff (yield strength of the alloy 500-700 MPa)",
            applications: &["Crowns", "Long-span bridges", "Resin-bonded bridges"],
            typical_thickness: "0.2-0.3 mm coping and 1.0-1.5 mm porcelain",
        },
    }
}

entries! {
    /// What a denture's base is made of.
    DentureMaterial: Material {
        AcrylicResin = "acrylic_resin" => Material {
            name: "Acrylic resin",
            description: "Polymethyl methacrylate, heat-cured, injected or milled; easy to reline and \
                          repair.",
            strength: "Moderate (65-90 MPa flexural)",
            applications: &[
                "Complete dentures", "Immediate dentures", "Provisional partial dentures", "Overdentures",
            ],
            typical_thickness: "2.0-3.0 mm",
        },
        FlexibleNylon = "flexible_nylon" => Material {
            name: "Flexible nylon",
            description: "Injected polyamide with clasps of the same colour; hard to reline.",
            strength: "Low stiffness, hard to break",
            applications: &[
                "Partial dentures without visible metal", "Patients allergic to acrylic or metal",
            ],
            typical_thickness: "1.5-2.5 mm",
        },
        MetalFramework = "metal_framework" => Material {
            name: "Metal framework",
            description: "Cast or laser-melted cobalt-chromium framework with acrylic saddles.",
            strength: "Very high (yield strength 500-700 MPa)",
            applications: &["Partial dentures resting on teeth", "Reinforcement of complete dentures"],
            typical_thickness: "0.4-0.6 mm",
        },
        Titanium = "titanium" => Material {
            name: "Titanium",
            description: "Milled or laser-melted titanium; light, and free of nickel and cobalt.",
            strength: "High (yield strength 480-880 MPa, by grade)",
            applications: &["Bars and frameworks on implants", "Frameworks for patients allergic to metal"],
            typical_thickness: "0.5-0.8 mm",
        },
    }
}

entries! {
    /// What a night guard is made of.
    NightGuardMaterial: Material {
        SoftVinyl = "soft_vinyl" => Material {
            name: "Soft vinyl",
            description: "Ethylene-vinyl acetate, thermoformed; comfortable, wears out sooner.",
            strength: "Low (soft, absorbs shock)",
            applications: &["Light clenching", "Short-term use", "Sports"],
            typical_thickness: "2-4 mm",
        },
        HardAcrylic = "hard_acrylic" => Material {
            name: "Hard acrylic",
            description: "Polymethyl methacrylate, milled or cured; can be adjusted and relined.",
            strength: "High (65-90 MPa flexural)",
            applications: &["Severe grinding", "Disorders of the jaw joint", "Long-term use"],
            typical_thickness: "2-3 mm",
        },
        DualLayer = "dual_layer" => Material {
            name: "Dual layer",
            description: "Soft inside against the teeth, hard outside for the bite.",
            strength: "Medium to high (hard outside, soft inside)",
            applications: &["Moderate to severe grinding", "Patients who find hard guards uncomfortable"],
            typical_thickness: "3 mm: 1 mm soft and 2 mm hard",
        },
        Thermoplastic = "thermoplastic" => Material {
            name: "Thermoplastic",
            description: "Copolyester or co-polyamide sheet, thermoformed; softens in warm water for the \
                          fit.",
            strength: "Medium (tough, gives a little)",
            applications: &["Light to moderate grinding", "Anterior deprogrammers", "Retainers"],
            typical_thickness: "1-3 mm",
        },
    }
}
