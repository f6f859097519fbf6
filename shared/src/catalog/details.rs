//! The values that the dental details of a case take, kind by kind; materials have a file of their own.

use crate::choices;

choices! {
    /// A fixed restoration.
    FixedProstheticType {
        Crown = "crown", Bridge = "bridge", Inlay = "inlay", Onlay = "onlay", Veneer = "veneer",
        ImplantCrown = "implant_crown",
    }
}
choices! {
    /// How much of the tooth was prepared.
    PreparationType {
        FullCoverage = "full_coverage", PartialCoverage = "partial_coverage", MinimalPrep = "minimal_prep",
        NoPrep = "no_prep",
    }
}
choices! {
    /// The finish line of the preparation.
    MarginType {
        Shoulder = "shoulder", Chamfer = "chamfer", KnifeEdge = "knife_edge", FeatherEdge = "feather_edge",
    }
}
choices! {
    /// The bite that the restoration is made to.
    OcclusionType {
        CentricOcclusion = "centric_occlusion", WorkingSide = "working_side", BalancingSide = "balancing_side",
        Protrusive = "protrusive",
    }
}

choices! {
    /// A removable denture.
    DentureType {
        CompleteUpper = "complete_upper", CompleteLower = "complete_lower", CompleteFull = "complete_full",
        PartialUpper = "partial_upper", PartialLower = "partial_lower", Immediate = "immediate",
        Conventional = "conventional", ImplantSupported = "implant_supported",
    }
}
choices! {
    /// What a denture's teeth are made of.
    ToothMaterial { Acrylic = "acrylic", Porcelain = "porcelain", Composite = "composite" }
}
choices! {
    /// How a partial denture holds on to teeth.
    ClaspDesign {
        CastClasps = "cast_clasps", WroughtWire = "wrought_wire", PrecisionAttachments = "precision_attachments",
        None = "none",
    }
}
choices! {
    /// What keeps a denture in place.
    RetentionType {
        ConventionalSuction = "conventional_suction", ImplantRetained = "implant_retained",
        ImplantSupported = "implant_supported", Adhesive = "adhesive",
    }
}

choices! {
    /// A splint worn at night.
    NightGuardType {
        SoftGuard = "soft_guard", HardGuard = "hard_guard", DualLaminate = "dual_laminate", NtiTss = "nti_tss",
    }
}
choices! {
    /// How thick a night guard is.
    Thickness { Mm1 = "1mm", Mm2 = "2mm", Mm3 = "3mm", Mm4 = "4mm", Custom = "custom" }
}
choices! {
    /// Which jaw wears it.
    Arch { Upper = "upper", Lower = "lower", Both = "both" }
}
choices! {
    /// Which surface a night guard covers and guides.
    NightGuardDesign {
        FullCoverage = "full_coverage", AnteriorOnly = "anterior_only", CanineGuidance = "canine_guidance",
        BalancedOcclusion = "balanced_occlusion",
    }
}
choices! {
    /// Extras of a night guard.
    SpecialFeature {
        BiteRamps = "bite_ramps", TongueSpace = "tongue_space", BreathingHoles = "breathing_holes",
        CustomThickness = "custom_thickness",
    }
}

choices! {
    /// The maker of the implant.
    ImplantSystem {
        NobelBiocare = "nobel_biocare", Straumann = "straumann", ZimmerBiomet = "zimmer_biomet",
        DentsplySirona = "dentsply_sirona", Megagen = "megagen", Bicon = "bicon", Other = "other",
    }
}
choices! {
    /// The implant's diameter.
    ImplantDiameter {
        Mm3_0 = "3.0mm", Mm3_3 = "3.3mm", Mm3_5 = "3.5mm", Mm4_0 = "4.0mm", Mm4_1 = "4.1mm", Mm4_3 = "4.3mm",
        Mm4_5 = "4.5mm", Mm5_0 = "5.0mm", Mm6_0 = "6.0mm",
    }
}
choices! {
    /// The implant's length.
    ImplantLength {
        Mm6 = "6mm", Mm8 = "8mm", Mm10 = "10mm", Mm11_5 = "11.5mm", Mm13 = "13mm", Mm15 = "15mm", Mm18 = "18mm",
    }
}
choices! {
    /// How the abutment joins the implant.
    PlatformType {
        ExternalHex = "external_hex", InternalHex = "internal_hex", InternalTriChannel = "internal_tri_channel",
        MorseTaper = "morse_taper",
    }
}
choices! {
    /// The part between implant and restoration.
    AbutmentType {
        StockAbutment = "stock_abutment", CustomAbutment = "custom_abutment", AngledAbutment = "angled_abutment",
        TemporaryAbutment = "temporary_abutment",
    }
}
choices! {
    /// What the implant carries.
    RestorationType {
        SingleCrown = "single_crown", BridgeAbutment = "bridge_abutment",
        OverdentureAttachment = "overdenture_attachment", BarRetained = "bar_retained",
    }
}
choices! {
    /// Where the implant's shoulder lies.
    TissueLevel { TissueLevel = "tissue_level", BoneLevel = "bone_level", Subcrestal = "subcrestal" }
}
