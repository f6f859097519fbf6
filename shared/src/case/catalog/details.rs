//! The values that the dental details of a case take, kind by kind; materials have a file of their own.

use crate::wire_enum;

wire_enum! {
    /// A fixed restoration.
    FixedProstheticType {
        Crown = "crown", Bridge = "bridge", Inlay = "inlay", Onlay = "onlay", Veneer = "veneer",
        ImplantCrown = "implant_crown",
    }
}
wire_enum! {
    /// How much of the tooth was prepared.
    PreparationType {
        FullCoverage = "full_coverage", PartialCoverage = "partial_coverage", MinimalPrep = "minimal_prep",
        NoPrep = "no_prep",
    }
}
wire_enum! {
    /// The finish line of the preparation.
    MarginType {
        Shoulder = "shoulder", Chamfer = "chamfer", KnifeEdge = "knife_edge", FeatherEdge = "feather_edge",
    }
}
wire_enum! {
    /// The bite that the restoration is made to.
    OcclusionType {
        CentricOcclusion = "centric_occlusion", WorkingSide = "working_side", BalancingSide = "balancing_side",
        Protrusive = "protrusive",
    }
}

wire_enum! {
    /// A removable denture.
    DentureType {
        CompleteUpper = "complete_upper", CompleteLower = "complete_lower", CompleteFull = "complete_full",
        PartialUpper = "partial_upper", PartialLower = "partial_lower", Immediate = "immediate",
        Conventional = "conventional", ImplantSupported = "implant_supported",
    }
}
wire_enum! {
    /// What a denture's teeth are made of.
    ToothMaterial { Acrylic = "acrylic", Porcelain = "porcelain", Composite = "composite" }
}
wire_enum! {
    /// How a partial denture holds on to teeth.
    ClaspDesign {
        CastClasps = "cast_clasps", WroughtWire = "wrought_wire", PrecisionAttachments = "precision_attachments",
        None = "none",
    }
}
wire_enum! {
    /// What keeps a denture in place.
    RetentionType {
        ConventionalSuction = "conventional_suction", ImplantRetained = "implant_retained",
        ImplantSupported = "implant_supported", Adhesive = "adhesive",
    }
}

wire_enum! {
    /// A splint worn at night.
    NightGuardType {
        SoftGuard = "soft_guard", HardGuard = "hard_guard", DualLaminate = "dual_laminate", NtiTss = "nti_tss",
    }
}
wire_enum! {
    /// How thick a night guard is.
    Thickness { Mm1 = "1mm", Mm2 = "2mm", Mm3 = "3mm", Mm4 = "4mm", Custom = "custom" }
}
wire_enum! {
    /// Which jaw wears it.
    Arch { Upper = "upper", Lower = "lower", Both = "both" }
}
wire_enum! {
    /// Which surface a night guard covers and guides.
    NightGuardDesign {
        FullCoverage = "full_coverage", AnteriorOnly = "anterior_only", CanineGuidance = "canine_guidance",
        BalancedOcclusion = "balanced_occlusion",
    }
}
wire_enum! {
    /// Extras of a night guard.
    SpecialFeature {
        BiteRamps = "bite_ramps", TongueSpace = "tongue_space", BreathingHoles = "breathing_holes",
        CustomThickness = "custom_thickness",
    }
}

wire_enum! {
    /// The maker of the implant.
    ImplantSystem {
        NobelBiocare = "nobel_biocare", Straumann = "straumann", ZimmerBiomet = "zimmer_biomet",
        DentsplySirona = "dentsply_sirona", Megagen = "megagen", Bicon = "bicon", Other = "other",
    }
}
wire_enum! {
    /// The implant's diameter.
    ImplantDiameter {
        Mm3_0 = "3.0mm", Mm3_3 = "3.3mm", Mm3_5 = "3.5mm", Mm4_0 = "4.0mm", Mm4_1 = "4.1mm", Mm4_3 = "4.3mm",
        Mm4_5 = "4.5mm", Mm5_0 = "5.0mm", Mm6_0 = "6.0mm",
    }
}
wire_enum! {
    /// The implant's length.
    ImplantLength {
        Mm6 = "6mm", Mm8 = "8mm", Mm10 = "10mm", Mm11_5 = "11.5mm", Mm13 = "13mm", Mm15 = "15mm", Mm18 = "18mm",
    }
}
wire_enum! {
    /// How the abutment joins the implant.
    PlatformType {
        ExternalHex = "external_hex", InternalHex = "internal_hex", InternalTriChannel = "internal_tri_channel",
        MorseTaper = "morse_taper",
    }
}
wire_enum! {
    /// The part between implant and restoration.
    AbutmentType {
        StockAbutment = "stock_abutment", CustomAbutment = "custom_abutment", AngledAbutment = "angled_abutment",
        TemporaryAbutment = "temporary_abutment",
    }
}
wire_enum! {
    /// What the implant carries.
    RestorationType {
        SingleCrown = "single_crown", BridgeAbutment = "bridge_abutment",
        OverdentureAttachment = "overdenture_attachment", BarRetained = "bar_retained",
    }
}
wire_enum! {
    /// Where the implant's shoulder lies.
    TissueLevel { TissueLevel = "tissue_level", BoneLevel = "bone_level", Subcrestal = "subcrestal" }
}
